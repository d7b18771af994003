/**
 * The address at which a provider tells of one attempt: its path names the attempt, and a secret
 * that follows from both and from the key-encryption key. Whoever knows that path was told it by us
 * for this attempt: so a delivery there may say which task the attempt has, and no other may.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { deriveKey, type Keyring } from '#libs/runtime/secrets.ts'
import { declarationOf } from './registry.ts'

/** The last part of the path: `<video id>-<attempt>.<secret>`. */
const lastPart = /^([0-9a-f-]{36})-(\d{1,9})\.([\w-]{22})$/

export interface CallbackPath {
  videoId: string
  attempt: number
  secret: string
}

/** Null where a path names no attempt with a secret. */
export function readCallbackPath(part: string): CallbackPath | null {
  const [, videoId, attempt, secret] = lastPart.exec(part) ?? []
  if (videoId === undefined || attempt === undefined || secret === undefined) return null
  return { videoId, attempt: Number(attempt), secret }
}

export class Callbacks {
  readonly #base: string | null
  readonly #keys: Uint8Array[]

  /** `publicUrl`: where providers reach us; without one there are no callbacks. */
  constructor(publicUrl: string | undefined, keys: Keyring) {
    this.#base = publicUrl === undefined ? null : publicUrl.replace(/\/+$/, '')
    this.#keys = keys.map((key) => deriveKey(key, 'callback path'))
  }

  /** Undefined where there is no address of ours, or this provider tells nobody. */
  urlOf(provider: string, ownId: string): string | undefined {
    if (this.#base === null || !declarationOf(provider)?.webhook) return undefined
    const secret = secretOf(this.#keys[0]!, provider, ownId).toString('base64url')
    return `${this.#base}/webhooks/${provider}/${ownId}.${secret}`
  }

  /** Whether this is the secret of that attempt's path, under the present key or a former one. */
  isOurs(provider: string, ownId: string, secret: string): boolean {
    const given = Buffer.from(secret, 'base64url')
    return this.#keys.some((key) => {
      const expected = secretOf(key, provider, ownId)
      return given.length === expected.length && timingSafeEqual(given, expected)
    })
  }
}

const secretOf = (key: Uint8Array, provider: string, ownId: string): Buffer =>
  createHmac('sha256', key).update(`${provider}\n${ownId}`).digest().subarray(0, 16)
