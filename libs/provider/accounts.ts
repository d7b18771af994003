/**
 * Accounts at providers, opened: one object each, however many videos are made there and however
 * often its credentials were encrypted. `id` tells one account from another and gives nothing of
 * its key away: the hash of address and key under a key of that purpose, the same in every process.
 * It changes with the key-encryption key: `formerIds` are those by the keyring's other keys.
 */
import { createHmac } from 'node:crypto'
import { decrypt, deriveKey, isCurrent, reseal, type Keyring } from '#libs/runtime/secrets.ts'
import type { Account } from './provider.ts'

export interface OpenedAccount extends Account {
  readonly id: string
  /** What processes with another first key call it, or called it. */
  readonly formerIds: readonly string[]
}

/** Where an account is, and what opens it. */
export interface SealedAccount {
  baseUrl: string
  /** Its credentials, encrypted. */
  keyCipher: string
}

const idBy = (hashKey: Uint8Array, baseUrl: string, apiKey: string): string =>
  createHmac('sha256', hashKey).update(`${baseUrl}\n${apiKey}`).digest('base64url').slice(0, 22)

/** Forgotten in the order of first use; what is forgotten is made again. */
const mostKnown = 10_000
function keep<T>(known: Map<string, T>, key: string, value: T): void {
  known.set(key, value)
  if (known.size > mostKnown) known.delete(known.keys().next().value!)
}

export class Accounts {
  readonly #keys: Keyring
  readonly #hashKeys: Uint8Array[]
  /** By address and cipher text: opening one takes longer than looking it up. */
  readonly #opened = new Map<string, OpenedAccount>()
  /** By a cipher text under a former key: the same, sealed to the first one. */
  readonly #resealed = new Map<string, string>()
  readonly #byId = new Map<string, WeakRef<OpenedAccount>>()
  readonly #gone = new FinalizationRegistry<string>((id) => {
    if (!this.#byId.get(id)?.deref()) this.#byId.delete(id)
  })

  constructor(keys: Keyring) {
    this.#keys = keys
    this.#hashKeys = keys.map((key) => deriveKey(key, 'account id'))
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
    keep(this.#opened, place, account)
    return account
  }

  /** Sealed to the keyring's first key; as it is where none of its keys opens it. */
  resealed<T extends SealedAccount>(sealed: T): T {
    const { keyCipher } = sealed
    if (isCurrent(keyCipher, this.#keys) || !this.open(sealed)) return sealed
    const known = this.#resealed.get(keyCipher)
    if (known) return { ...sealed, keyCipher: known }
    const renewed = reseal(keyCipher, this.#keys)
    keep(this.#resealed, keyCipher, renewed)
    return { ...sealed, keyCipher: renewed }
  }

  #one(baseUrl: string, apiKey: string): OpenedAccount {
    const [id, ...formerIds] = this.#hashKeys.map((key) => idBy(key, baseUrl, apiKey)) as [string]
    const known = this.#byId.get(id)?.deref()
    if (known) return known
    const account = { id, formerIds, baseUrl, apiKey }
    this.#byId.set(id, new WeakRef(account))
    this.#gone.register(account, id)
    return account
  }
}
