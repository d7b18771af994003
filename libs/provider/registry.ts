/**
 * Every provider there is, by name. Whoever has a name asks here; nobody else knows one. Which are
 * switched on is the operator's: `PROVIDERS`.
 */
import { ark } from './adapters/ark.ts'
import { dashscope } from './adapters/dashscope.ts'
import { fal } from './adapters/fal.ts'
import { gemini } from './adapters/gemini.ts'
import { kie } from './adapters/kie.ts'
import { klingV1 } from './adapters/kling-v1.ts'
import { kling } from './adapters/kling.ts'
import { luma, lumaDreamMachine } from './adapters/luma.ts'
import { minimax, minimaxHailuo } from './adapters/minimax.ts'
import { openaiVideos } from './adapters/openai-videos.ts'
import { openrouter } from './adapters/openrouter.ts'
import { replicate } from './adapters/replicate.ts'
import { runway } from './adapters/runway.ts'
import { tencentVod } from './adapters/tencent-vod.ts'
import { vercel } from './adapters/vercel.ts'
import { vertex } from './adapters/vertex.ts'
import { vidu } from './adapters/vidu.ts'
import { xai } from './adapters/xai.ts'
import { oneKey, type CredentialPart } from './credentials.ts'
import {
  linksOnly,
  type Declaration,
  type ImageInputs,
  type Model,
  type WebhookVerifier,
} from './declaration.ts'
import type { Dialect } from './edge/dialect.ts'
import { isAmong, type RecoveryHosts } from './recovery.ts'
import { toapis } from './toapis.ts'

const declarations: ReadonlyMap<string, Declaration> = new Map(
  [
    toapis,
    fal,
    ark,
    kling,
    klingV1,
    dashscope,
    minimax,
    minimaxHailuo,
    vidu,
    tencentVod,
    vertex,
    gemini,
    openaiVideos,
    xai,
    runway,
    openrouter,
    replicate,
    vercel,
    luma,
    lumaDreamMachine,
    kie,
  ].map((one) => [one.dialect.name, one]),
)
/** The first is the default of `PROVIDERS`. */
export const providerNames: readonly string[] = [...declarations.keys()]
export const declarationOf = (name: string): Declaration | undefined => declarations.get(name)

/** Its dialect, as these settings of its own have it. */
export const dialectOf = (
  { dialect, settings }: Declaration,
  values: Readonly<Record<string, unknown>>,
): Dialect => (settings ? settings.apply(dialect, values) : dialect)

/** How a lost create is recovered: what may be promised about paying once. */
type Recovery = 'own_id' | 'repeat' | 'list' | 'none'
const guaranteeOf = { own_id: 'proven', repeat: 'by_key', list: 'by_match', none: 'none' } as const
type Guarantee = (typeof guaranteeOf)[Recovery]
const recoveryOf = (dialect: Dialect): Recovery =>
  dialect.find ? 'own_id' : dialect.repeat ? 'repeat' : dialect.list ? 'list' : 'none'

export interface ProviderDescription {
  name: string
  baseUrl: string
  regions: Readonly<Record<string, string>>
  credentials: readonly CredentialPart[]
  /** The model used where nobody names one. */
  model: string
  models: readonly Model[]
  recovery: Recovery
  /** What may be promised of a create whose answer is lost, at `baseUrl`. */
  guarantee: Guarantee
  /** At another address: `guarantee` where its host is among `hosts`, else none. */
  anywhere: { hosts: RecoveryHosts; guarantee: Guarantee }
  cancel: 'any' | 'queued' | false
  hasWebhook: boolean
  linkNeedsKey: boolean
  images: ImageInputs
}

interface AsSetUp {
  name: string
  baseUrl: string
  model: string
  values: Readonly<Record<string, unknown>>
  recoveryHosts: RecoveryHosts
}

/** What each of these can, as the operator has set it up. */
export function describeProviders(configured: readonly AsSetUp[]): ProviderDescription[] {
  return configured.flatMap(({ name, baseUrl, model, values, recoveryHosts }) => {
    const one = declarations.get(name)
    if (!one) return []
    const dialect = dialectOf(one, values)
    const recovery = recoveryOf(dialect)
    const guarantee = guaranteeOf[recovery]
    return [
      {
        name,
        baseUrl,
        regions: one.regions ?? {},
        credentials: one.credentials ?? oneKey,
        model,
        models: one.models,
        recovery,
        guarantee: isAmong(recoveryHosts, baseUrl) ? guarantee : 'none',
        anywhere: { hosts: recoveryHosts, guarantee },
        cancel: dialect.cancel?.when ?? false,
        hasWebhook: one.webhook !== undefined,
        linkNeedsKey: one.linkNeedsKey === true,
        images: imagesOf(name),
      },
    ]
  })
}

export const imagesOf = (name: string): ImageInputs => declarations.get(name)?.images ?? linksOnly

/** Null where it has none, or nobody is called so. */
export const webhookOf = (name: string): WebhookVerifier | null =>
  declarations.get(name)?.webhook ?? null

/** `<NAME>_` as settings of a provider begin. */
export const settingPrefix = (name: string): string =>
  `${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_`
