/**
 * JWTs of one issuer, verified by its JWKS. `sub` is the user: a UUID as it is, anything else as a
 * UUID derived from issuer and sub; the user is made when first seen. `scope` or `scp` may name
 * `read`, `write`, `admin` (also as `reelkeeper:read`); without either claim: read and write.
 */
import { createHash } from 'node:crypto'
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose'
import { z } from 'zod'
import { scopes, type Scope } from '#libs/store/api-key.ts'
import type { ApiKeys } from '#libs/store/api-keys.ts'
import type { Identity } from './identity.ts'
import { Problem } from './problem.ts'

export interface JwtVerifier {
  /** Null when the token is not valid. @throws Problem 503 when the issuer's keys cannot be had */
  verify(token: string): Promise<Identity | null>
}

const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

export function createJwtVerifier(
  options: { jwksUrl: string; issuer: string; audience: string },
  users: ApiKeys,
): JwtVerifier {
  const { issuer, audience } = options
  const keys = createRemoteJWKSet(new URL(options.jwksUrl), { timeoutDuration: 3_000 })
  const known = new Set<string>()
  return {
    async verify(token) {
      const payload = await payloadOf(() =>
        jwtVerify(token, keys, {
          issuer,
          audience,
          algorithms,
          requiredClaims: ['sub', 'exp'],
          clockTolerance: 5,
        }),
      )
      if (!payload?.sub) return null
      const userId = userIdOf(issuer, payload.sub)
      if (!known.has(userId)) await users.ensureUser(userId, payload.sub.slice(0, 200))
      known.add(userId)
      const name = payload.sub.slice(0, 200)
      return {
        userId,
        name,
        scopes: scopesOf(payload),
        limitKey: `user ${userId}`,
        until: payload.exp,
      }
    },
  }
}

async function payloadOf(
  verify: () => Promise<{ payload: JWTPayload }>,
): Promise<JWTPayload | null> {
  try {
    return (await verify()).payload
  } catch (err) {
    const isAway =
      err instanceof errors.JWKSTimeout ||
      !(err instanceof errors.JOSEError) ||
      err.code === 'ERR_JOSE_GENERIC'
    if (isAway)
      throw new Problem(
        503,
        'not_ready',
        'The keys of the token’s issuer cannot be had; try again shortly.',
      )
    return null
  }
}

export function userIdOf(issuer: string, sub: string): string {
  const asIs = z.uuid().safeParse(sub)
  if (asIs.success) return asIs.data.toLowerCase()
  const bytes = createHash('sha256').update(`${issuer}\n${sub}`).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function scopesOf(payload: JWTPayload): Scope[] {
  const claim = payload['scope'] ?? payload['scp']
  if (claim === undefined) return ['read', 'write']
  const named = (Array.isArray(claim) ? claim.map(String) : String(claim).split(' ')).map((one) =>
    one.replace(/^reelkeeper:/, ''),
  )
  return scopes.filter((scope) => named.includes(scope))
}
