/**
 * The accounts at providers that this poller asks with: one object for each account and provider,
 * however many videos are made there.
 */
import { Accounts, type OpenedAccount } from '#libs/provider/accounts.ts'
import type { Account, Provider } from '#libs/provider/provider.ts'
import type { ProviderSource } from '#libs/provider/providers.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import type { Grant } from '#libs/scene-video/messages.ts'

/** How long the provider takes for a task, and keeps its result, in milliseconds. */
export interface Lives {
  readonly expectedMs: number
  readonly resultLifeMs: number
}

export interface PolledAccount extends Account {
  readonly id: string
  /** Null: nobody can be asked, for the reason in `unreachable`. */
  readonly provider: Provider | null
  readonly unreachable: string
  readonly lives: Lives
}

/** Of a provider that this version does not know: another process may. */
const livesUnknown: Lives = { expectedMs: 600_000, resultLifeMs: 24 * 3_600_000 }

export class PolledAccounts {
  readonly #accounts: Accounts
  readonly #providers: ProviderSource
  readonly #polled = new WeakMap<OpenedAccount, Map<string, PolledAccount>>()

  constructor(keys: Keyring, providers: ProviderSource) {
    this.#accounts = new Accounts(keys)
    this.#providers = providers
  }

  of(grant: Pick<Grant, 'provider' | 'baseUrl' | 'keyCipher'>): PolledAccount {
    const { provider: name, baseUrl } = grant
    const provider = this.#providers.of(name)
    const lives = provider ?? livesUnknown
    const opened = this.#accounts.open(grant)
    if (!opened || !provider) {
      const unreachable = opened ? `no provider is called ${name}` : 'the stored key cannot be read'
      return { id: unreachable, baseUrl, apiKey: '', provider: null, unreachable, lives }
    }
    const known = this.#polled.get(opened) ?? new Map<string, PolledAccount>()
    this.#polled.set(opened, known)
    const polled = known.get(name) ?? { ...opened, provider, unreachable: '', lives }
    known.set(name, polled)
    return polled
  }
}
