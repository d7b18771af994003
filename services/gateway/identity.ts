/** Who a request is made for, as its credentials tell. */
import type { Actor } from '#libs/scene-video/scene-video.ts'
import type { Scope } from '#libs/store/api-key.ts'

export interface Identity {
  userId: string
  scopes: readonly Scope[]
  /** What a stream lives as long as: an API key, or a JWT until then (Unix seconds). */
  keyId?: string | undefined
  /** Of a stream token: it counts against a share of its own, and may read this and no more. */
  tokenId?: string | undefined
  only?: { projectId?: string | undefined; videoId?: string | undefined } | undefined
  /** Of the key, or the `sub` of the JWT. */
  name?: string | null | undefined
  until?: number | undefined
}

/** As the timeline keeps who asked. */
export const actorOf = ({ keyId, name }: Identity): Actor => ({
  keyId: keyId ?? null,
  name: name ?? null,
})

/** Whether what a token may read has this in it; everything but a narrow token may. */
export const isWithin = (
  { only }: Identity,
  { id, projectId }: { id?: string | undefined; projectId?: string | undefined },
): boolean =>
  (only?.projectId === undefined || only.projectId === projectId) &&
  (only?.videoId === undefined || only.videoId === id)
