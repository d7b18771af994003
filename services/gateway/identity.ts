/** Who a request is made for, as its credentials tell. */
import type { Scope } from '#libs/store/api-key.ts'

export interface Identity {
  userId: string
  scopes: readonly Scope[]
  /** Whom the rate limit counts: the key, not the user. */
  limitKey: string
  /** What a stream lives as long as: an API key, or a JWT until then (Unix seconds). */
  keyId?: string | undefined
  until?: number | undefined
}
