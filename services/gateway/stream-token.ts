/**
 * Tokens for browsers, which cannot send a header with an EventSource or a video element:
 * short-lived, for reading what may be watched, all of it or one project or video. Every replica
 * has the same keys: the first signs, all verify, so that a rotation does not end them. One made
 * with an API key names it, and is void once that is revoked.
 */
import { randomUUID } from 'node:crypto'
import { jwtVerify, SignJWT } from 'jose'
import { unixMs } from '#libs/runtime/clock.ts'
import { deriveKey } from '#libs/runtime/secrets.ts'
import type { Identity } from './identity.ts'

/** What it was made with: an API key, or a JWT that is good until then. */
interface Claims {
  key?: string
  until?: number
  project?: string
  video?: string
}

const audience = 'reelkeeper:stream'
export const tokenSeconds = { fallback: 300, most: 3_600 }

export class StreamTokens {
  readonly #keys: Uint8Array[]
  constructor(keys: readonly Buffer[]) {
    this.#keys = keys.map((key) => deriveKey(key, audience))
  }

  async issue(
    { userId, keyId, until }: Pick<Identity, 'userId' | 'keyId' | 'until'>,
    seconds: number,
    { projectId: project, videoId: video }: NonNullable<Identity['only']> = {},
  ): Promise<{ token: string; expiresAt: string; expiresInSeconds: number }> {
    const issuedAt = Math.floor(unixMs() / 1000)
    // rule: a token is worth no more than what it was made with
    const expires = Math.min(issuedAt + seconds, until ?? Infinity)
    const token = await new SignJWT({ key: keyId, until, project, video })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(userId)
      .setJti(randomUUID())
      .setAudience(audience)
      .setIssuedAt(issuedAt)
      .setExpirationTime(expires)
      .sign(this.#keys[0]!)
    const expiresAt = new Date(expires * 1000).toISOString()
    return { token, expiresAt, expiresInSeconds: Math.max(0, Math.floor(expires - issuedAt)) }
  }

  async verify(token: string): Promise<Identity | null> {
    for (const key of this.#keys) {
      const claims = await jwtVerify<Claims>(token, key, {
        audience,
        algorithms: ['HS256'],
        requiredClaims: ['sub', 'exp'],
      }).then(
        ({ payload }) => payload,
        () => null,
      )
      if (claims?.sub)
        return {
          userId: claims.sub,
          scopes: ['read'],
          tokenId: claims.jti,
          only: { projectId: claims.project, videoId: claims.video },
          keyId: claims.key,
          until: claims.until,
        }
    }
    return null
  }
}
