/**
 * The accounts at providers that this process sends with. `id` tells one account from another and
 * gives nothing of its key away: the hash of address and key under a key of that purpose, the same
 * in every process.
 */
import { createHmac } from 'node:crypto'
import type { Account } from '#libs/provider/provider.ts'
import { decrypt, deriveKey, type Keyring } from '#libs/runtime/secrets.ts'

export interface SendingAccount extends Account {
  readonly id: string
}

/** Forgotten in the order of first use; what is forgotten is made again. */
const mostKnown = 10_000

export class SendingAccounts {
  readonly #keys: Keyring
  readonly #hashKey: Uint8Array
  /** By address and cipher text: opening one takes longer than looking it up. */
  readonly #opened = new Map<string, SendingAccount>()
  /** By id: no create before this monotonic instant, as the provider asked. */
  readonly #throttledUntil = new Map<string, number>()
  readonly #proven = new Set<string>()

  constructor(keys: Keyring) {
    this.#keys = keys
    this.#hashKey = deriveKey(keys[0], 'account id')
  }

  /** Null when the key was encrypted under a key-encryption key that this process does not have. */
  open({ baseUrl, keyCipher }: { baseUrl: string; keyCipher: string }): SendingAccount | null {
    const place = `${baseUrl} ${keyCipher}`
    const known = this.#opened.get(place)
    if (known) return known
    try {
      const apiKey = decrypt(keyCipher, this.#keys)
      const hash = createHmac('sha256', this.#hashKey).update(`${baseUrl}\n${apiKey}`)
      const account = { id: hash.digest('base64url').slice(0, 22), baseUrl, apiKey }
      this.#opened.set(place, account)
      if (this.#opened.size > mostKnown) this.#opened.delete(this.#opened.keys().next().value!)
      return account
    } catch {
      return null
    }
  }

  /** How long the provider still wants no create of this account, in milliseconds. */
  throttledMs(id: string, now: number): number {
    const until = this.#throttledUntil.get(id)
    if (until !== undefined && until <= now) this.#throttledUntil.delete(id)
    return Math.max(0, (until ?? now) - now)
  }

  throttle(id: string, until: number): void {
    this.#throttledUntil.set(id, Math.max(until, this.#throttledUntil.get(id) ?? 0))
  }

  /**
   * Whether a task of this account was seen to be found by our own id; asks the store until it was.
   */
  async isProven(
    store: { isProven(id: string, provider: string): Promise<boolean> },
    id: string,
    provider: string,
  ): Promise<boolean> {
    if (this.#proven.has(id)) return true
    if (!(await store.isProven(id, provider))) return false
    this.#proven.add(id)
    return true
  }

  /** Whether that is known here. */
  isKnownProven(id: string): boolean {
    return this.#proven.has(id)
  }

  async prove(
    store: { prove(id: string, provider: string): Promise<void> },
    id: string,
    provider: string,
  ): Promise<void> {
    if (this.#proven.has(id)) return
    await store.prove(id, provider)
    this.#proven.add(id)
  }
}
