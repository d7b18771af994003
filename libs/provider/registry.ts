/**
 * Every provider there is, by name. Whoever has a name asks here; nobody else knows one. Which are
 * switched on is the operator's: `PROVIDERS`.
 */
import { ark } from './adapters/ark.ts'
import { kling } from './adapters/kling.ts'
import { openaiVideos } from './adapters/openai-videos.ts'
import type { Declaration, Model, Recovery, WebhookVerifier } from './edge/dialect.ts'
import type { Provider } from './provider.ts'
import { createRestProvider, type RestOptions } from './rest.ts'
import { toapisDeclaration } from './toapis.ts'

const declarations: ReadonlyMap<string, Declaration> = new Map(
  [toapisDeclaration, ark, kling, openaiVideos].map((one) => [one.dialect.name, one]),
)
export const providerNames: readonly string[] = [...declarations.keys()]

export interface ProviderDescription {
  name: string
  baseUrl: string
  /** The model used where nobody names one. */
  model: string
  models: readonly Model[]
  recovery: Recovery
  /** What may be promised of a create whose answer is lost. */
  guarantee: 'proven' | 'none'
  hasWebhook: boolean
}

/** What each provider can; all of them, or those named. Names nobody knows are left out. */
export function describeProviders(names: readonly string[] = providerNames): ProviderDescription[] {
  return names.flatMap((name) => {
    const one = declarations.get(name)
    if (!one) return []
    const findsByOwnId = one.dialect.find !== undefined
    return [
      {
        name,
        baseUrl: one.baseUrl,
        model: one.model,
        models: one.models,
        recovery: findsByOwnId ? 'own_id' : 'none',
        guarantee: findsByOwnId ? 'proven' : 'none',
        hasWebhook: one.webhook !== undefined,
      },
    ]
  })
}

/** Null where nobody is called so. */
export function createProvider(name: string, options: RestOptions): Provider | null {
  const one = declarations.get(name)
  return one ? createRestProvider(one.dialect, options) : null
}

/** Null where it has none, or nobody is called so. */
export const webhookOf = (name: string): WebhookVerifier | null =>
  declarations.get(name)?.webhook ?? null

/** `<NAME>_` as settings of a provider begin. */
export const settingPrefix = (name: string): string =>
  `${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_`
