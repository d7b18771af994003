/**
 * The accounts at providers that this poller asks with: one object each, however many videos, and
 * however often its key was sealed. `id` tells one account from another (same place, same key)
 * and gives nothing of the key away: it is the hash of both under the key-encryption key.
 */
import { createHmac } from 'node:crypto'
import type { Account } from '#libs/provider/provider.ts'
import { decrypt, type Keyring } from '#libs/runtime/secrets.ts'

export interface PolledAccount extends Account {
  readonly id: string
  /**
   * False where its key is sealed to a key that this process does not have:
   * the provider cannot be asked.
   */
  readonly isReadable: boolean
}

/** Sealed texts remembered; what is forgotten, in the order of first use, is opened again. */
const mostOpened = 10_000

export class Accounts {
  /** By address and sealed text: opening one takes a hundred times as long as looking it up. */
  readonly #opened = new Map<string, PolledAccount>()
  readonly #known = new Map<string, WeakRef<PolledAccount>>()
  readonly #keys: Keyring
  readonly #gone = new FinalizationRegistry<string>((id) => {
    if (!this.#known.get(id)?.deref()) this.#known.delete(id)
  })

  constructor(keys: Keyring) {
    this.#keys = keys
  }

  of(baseUrl: string, keyCipher: string): PolledAccount {
    const place = `${baseUrl} ${keyCipher}`
    const opened = this.#opened.get(place)
    if (opened) return opened
    const account = this.#open(baseUrl, keyCipher)
    if (account.isReadable) this.#opened.set(place, account)
    if (this.#opened.size > mostOpened) this.#opened.delete(this.#opened.keys().next().value!)
    return account
  }

  #open(baseUrl: string, keyCipher: string): PolledAccount {
    let apiKey: string
    try {
      apiKey = decrypt(keyCipher, this.#keys)
    } catch {
      return { id: 'unreadable', isReadable: false, baseUrl, apiKey: '' }
    }
    const id = createHmac('sha256', this.#keys[0])
      .update(`${baseUrl}\n${apiKey}`)
      .digest('base64url')
      .slice(0, 16)
    const known = this.#known.get(id)?.deref()
    if (known) return known
    const account = { id, isReadable: true, baseUrl, apiKey }
    this.#known.set(id, new WeakRef(account))
    this.#gone.register(account, id)
    return account
  }
}
