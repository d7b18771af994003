/**
 * The accounts that creates go to, and what this process knows of each. Before its first create,
 * Postgres knows of an account, too, so that an operator can hold it.
 */
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import type { Declared } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { AccountKey } from '#libs/store/account-ids.ts'
import type { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import { CreateQueue, type Waiting } from './create-queue.ts'
import { LearnedRate } from './learned-rate.ts'

/** Where a create goes. */
export interface GateAccount {
  account: Pick<OpenedAccount, 'id' | 'formerIds' | 'baseUrl'>
  provider: Pick<Declared, 'name' | 'budgets'>
}

export interface KnownAccount {
  key: AccountKey
  queue: CreateQueue
  /** Creates a minute as the provider tells them; null: unknown. */
  told: number | null
  learned: LearnedRate
  /** For its circuit, and known here. */
  waiting: Map<string, Waiting>
  /** When it was last told to be in use. */
  toldAt: number
}

export interface KnownAccountsOptions {
  clock: Clock
  log: Logger
  store: Omit<InterfaceOf<ProviderAccounts>, 'list' | 'act'>
}

const toldForMs = 12 * 3_600_000
const mostKnown = 10_000

export class KnownAccounts {
  readonly #options: KnownAccountsOptions
  readonly #wake: (video: Waiting) => void
  readonly #onInherited: () => Promise<void>
  readonly #known = new Map<string, KnownAccount>()
  readonly #knowing = new Map<string, Promise<KnownAccount>>()

  /** `onInherited`: one began as it was left under a former id, maybe held. */
  constructor(
    options: KnownAccountsOptions,
    wake: (video: Waiting) => void,
    onInherited: () => Promise<void>,
  ) {
    this.#options = options
    this.#wake = wake
    this.#onInherited = onInherited
  }

  [Symbol.iterator](): Iterator<KnownAccount> {
    return this.#known.values()
  }

  /** Where a create was made by this process lately. */
  ofNow = (at: GateAccount): KnownAccount | undefined => this.#known.get(nameOf(at))

  /** Who else asks while Postgres does waits for the same. */
  async of(at: GateAccount): Promise<KnownAccount> {
    const name = nameOf(at)
    const known = this.#known.get(name)
    // rule: an account in use is said to be, once a day
    if (known && this.#options.clock.now() - known.toldAt < toldForMs) return known
    const knowing = this.#knowing.get(name)
    if (knowing) return knowing
    const begun = this.#know(at, known).finally(() => this.#knowing.delete(name))
    this.#knowing.set(name, begun)
    return begun
  }

  async #know(at: GateAccount, known: KnownAccount | undefined): Promise<KnownAccount> {
    const { clock, log, store } = this.#options
    const { baseUrl, formerIds } = at.account
    const toldAt = clock.now()
    const key = accountKeyOf(at)
    // rule: what an operator holds stays held when the key-encryption key changes
    if (await store.know(key, new URL(baseUrl).host, formerIds)) await this.#onInherited()
    if (known) {
      known.toldAt = toldAt
      return known
    }
    const queue = new CreateQueue({ clock, log, store, account: key, wake: this.#wake })
    const learned = new LearnedRate()
    const made = { key, queue, told: null, learned, toldAt, waiting: new Map() }
    this.#known.set(nameOf(at), made)
    if (this.#known.size > mostKnown) this.#dropOne()
    return made
  }

  /** The oldest for which nobody waits. */
  #dropOne(): void {
    for (const [name, { queue, waiting }] of this.#known) {
      if (queue.size > 0 || waiting.size > 0) continue
      queue.close()
      return void this.#known.delete(name)
    }
  }
}

export const accountKeyOf = ({ account, provider }: GateAccount): AccountKey => ({
  accountId: account.id,
  provider: provider.name,
})
const nameOf = ({ account, provider }: GateAccount) => `${provider.name} ${account.id}`
