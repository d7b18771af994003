/**
 * Accounts at providers, opened: one object each, however many videos are made there and however
 * often its credentials were encrypted. `id` tells one account from another and gives nothing of
 * its key away: the hash of address and key under a key of that purpose, the same in every process.
 */
import { createHmac } from 'node:crypto'
import { decrypt, deriveKey, type Keyring } from '#libs/runtime/secrets.ts'
import type { Account } from './provider.ts'

export interface OpenedAccount extends Account {
  readonly id: string
}

/** Where an account is, and what opens it. */
export interface SealedAccount {
  baseUrl: string
  /** Its credentials, encrypted. */
  keyCipher: string
}

/** Forgotten in the order of first use; what is forgotten is made again. */
const mostKnown = 10_000

export class Accounts {
  readonly #keys: Keyring
  readonly #hashKey: Uint8Array
  /** By address and cipher text: opening one takes longer than looking it up. */
  readonly #opened = new Map<string, OpenedAccount>()
  readonly #byId = new Map<string, WeakRef<OpenedAccount>>()
  readonly #gone = new FinalizationRegistry<string>((id) => {
    if (!this.#byId.get(id)?.deref()) this.#byId.delete(id)
  })

  constructor(keys: Keyring) {
    this.#keys = keys
    this.#hashKey = deriveKey(keys[0], 'account id')
  }

  /** Null when it was encrypted under a key-encryption key that this process does not have. */
  open({ baseUrl, keyCipher }: SealedAccount): OpenedAccount | null {
    const place = `${baseUrl} ${keyCipher}`
    const known = this.#opened.get(place)
    if (known) return known
    let apiKey: string
    try {
      apiKey = decrypt(keyCipher, this.#keys)
    } catch {
      return null
    }
    const account = this.#one(baseUrl, apiKey)
    this.#opened.set(place, account)
    if (this.#opened.size > mostKnown) this.#opened.delete(this.#opened.keys().next().value!)
    return account
  }

  #one(baseUrl: string, apiKey: string): OpenedAccount {
    const hash = createHmac('sha256', this.#hashKey).update(`${baseUrl}\n${apiKey}`)
    const id = hash.digest('base64url').slice(0, 22)
    const known = this.#byId.get(id)?.deref()
    if (known) return known
    const account = { id, baseUrl, apiKey }
    this.#byId.set(id, new WeakRef(account))
    this.#gone.register(account, id)
    return account
  }
}
