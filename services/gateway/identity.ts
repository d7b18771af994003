/** Who a request is made for, as its credentials tell. */
import type { Actor } from '#libs/scene-video/scene-video.ts'
import type { Scope } from '#libs/store/api-key.ts'

export interface Identity {
  userId: string
  scopes: readonly Scope[]
  /** Whom the rate limit counts: the key, not the user. */
  limitKey: string
  /** What a stream lives as long as: an API key, or a JWT until then (Unix seconds). */
  keyId?: string | undefined
  /** Of the key, or the `sub` of the JWT. */
  name?: string | null | undefined
  until?: number | undefined
}

/** As the timeline keeps who asked. */
export const actorOf = ({ keyId, name }: Identity): Actor => ({
  keyId: keyId ?? null,
  name: name ?? null,
})
