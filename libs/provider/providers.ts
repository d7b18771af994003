/**
 * The providers of one process, by name: each made when it is first asked for, all disposed of
 * together. Those that are not switched on are there too: what is under way there goes on.
 */
import { createRestProvider, type RestOptions } from './rest.ts'
import type { Provider } from './provider.ts'
import { dialectOf } from './registry.ts'
import type { ConfiguredProvider } from './settings.ts'

/** Whoever has a name asks here. Null where nobody is called so. */
export interface ProviderSource {
  of(name: string): Provider | null
}

export class Providers implements ProviderSource, AsyncDisposable {
  readonly #configured: ReadonlyMap<string, ConfiguredProvider>
  readonly #options: RestOptions
  readonly #made = new Map<string, Provider>()

  constructor(configured: readonly ConfiguredProvider[], options: RestOptions) {
    this.#configured = new Map(configured.map((one) => [one.name, one]))
    this.#options = options
  }

  of(name: string): Provider | null {
    const made = this.#made.get(name)
    if (made) return made
    const one = this.#configured.get(name)
    if (!one) return null
    const { credentials, linkNeedsKey, linkHosts = [] } = one.declaration
    const provider = createRestProvider(dialectOf(one.declaration, one.values), {
      credentials,
      keyedHosts: linkNeedsKey ? linkHosts : undefined,
      budgets: one.budgets,
      recoveryHosts: one.recoveryHosts,
      ...this.#options,
    })
    this.#made.set(name, provider)
    return provider
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#made.values()].map((one) => one[Symbol.asyncDispose]()))
  }
}
