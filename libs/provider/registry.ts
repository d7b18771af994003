/**
 * Every provider there is, by name. Whoever has a name asks here; nobody else knows one. Which are
 * switched on is the operator's: `PROVIDERS`.
 */
import { ark } from './adapters/ark.ts'
import { dashscope } from './adapters/dashscope.ts'
import { fal } from './adapters/fal.ts'
import { kling } from './adapters/kling.ts'
import { luma, lumaDreamMachine } from './adapters/luma.ts'
import { minimax, minimaxHailuo } from './adapters/minimax.ts'
import { openaiVideos } from './adapters/openai-videos.ts'
import { openrouter } from './adapters/openrouter.ts'
import { replicate } from './adapters/replicate.ts'
import { runway } from './adapters/runway.ts'
import { vercel } from './adapters/vercel.ts'
import { vidu } from './adapters/vidu.ts'
import { xai } from './adapters/xai.ts'
import { oneKey, type CredentialPart } from './credentials.ts'
import type { Declaration, Model, WebhookVerifier } from './declaration.ts'
import type { Dialect } from './edge/dialect.ts'
import type { Provider } from './provider.ts'
import { createRestProvider, type RestOptions } from './rest.ts'
import { toapisDeclaration } from './toapis.ts'

const declarations: ReadonlyMap<string, Declaration> = new Map(
  [
    toapisDeclaration,
    fal,
    ark,
    kling,
    dashscope,
    minimax,
    minimaxHailuo,
    vidu,
    openaiVideos,
    xai,
    runway,
    openrouter,
    replicate,
    vercel,
    luma,
    lumaDreamMachine,
  ].map((one) => [one.dialect.name, one]),
)
export const providerNames: readonly string[] = [...declarations.keys()]

/** How a lost create is recovered: what may be promised about paying once. */
export type Recovery = 'own_id' | 'repeat' | 'list' | 'none'
const guaranteeOf = { own_id: 'proven', repeat: 'by_key', list: 'by_match', none: 'none' } as const
export const recoveryOf = (dialect: Dialect): Recovery =>
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
  /** What may be promised of a create whose answer is lost. */
  guarantee: (typeof guaranteeOf)[Recovery]
  cancel: 'any' | 'queued' | false
  hasWebhook: boolean
  linkNeedsKey: boolean
}

/** What each provider can; all of them, or those named. Names nobody knows are left out. */
export function describeProviders(names: readonly string[] = providerNames): ProviderDescription[] {
  return names.flatMap((name) => {
    const one = declarations.get(name)
    if (!one) return []
    const recovery = recoveryOf(one.dialect)
    return [
      {
        name,
        baseUrl: one.baseUrl,
        regions: one.regions ?? {},
        credentials: one.credentials ?? oneKey,
        model: one.model,
        models: one.models,
        recovery,
        guarantee: guaranteeOf[recovery],
        cancel: one.dialect.cancel?.when ?? false,
        hasWebhook: one.webhook !== undefined,
        linkNeedsKey: one.linkNeedsKey === true,
      },
    ]
  })
}

/** Null where nobody is called so. */
export function createProvider(name: string, options: RestOptions): Provider | null {
  const one = declarations.get(name)
  return one ? createRestProvider(one.dialect, { credentials: one.credentials, ...options }) : null
}

/** Null where it has none, or nobody is called so. */
export const webhookOf = (name: string): WebhookVerifier | null =>
  declarations.get(name)?.webhook ?? null

/** `<NAME>_` as settings of a provider begin. */
export const settingPrefix = (name: string): string =>
  `${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_`
