/**
 * The accounts at providers that this poller asks with: one object each, however many videos, and however often its key was encrypted. `id` tells one account
 * from another (same place, same key) and gives nothing of the key away: it is the hash of both under the key-encryption key.
 */
import { createHmac } from 'node:crypto'
import type { Account } from '#libs/provider/provider.ts'
import { decrypt, type Keyring } from '#libs/runtime/secrets.ts'

export interface PolledAccount extends Account {
  readonly id: string
}

export class Accounts {
  readonly #known = new Map<string, WeakRef<PolledAccount>>()
  readonly #keys: Keyring
  readonly #gone = new FinalizationRegistry<string>((id) => {
    if (!this.#known.get(id)?.deref()) this.#known.delete(id)
  })

  constructor(keys: Keyring) {
    this.#keys = keys
  }

  /** @throws when the cipher text was made under another key */
  of(baseUrl: string, keyCipher: string): PolledAccount {
    const apiKey = decrypt(keyCipher, this.#keys)
    const id = createHmac('sha256', this.#keys[0]).update(`${baseUrl}\n${apiKey}`).digest('base64url').slice(0, 16)
    const known = this.#known.get(id)?.deref()
    if (known) return known
    const account = { id, baseUrl, apiKey }
    this.#known.set(id, new WeakRef(account))
    this.#gone.register(account, id)
    return account
  }
}
