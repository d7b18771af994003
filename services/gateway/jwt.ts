/**
 * JWTs of one issuer, verified by its JWKS. `sub` is the issuer's user, whatever it looks like: a
 * user of its own, made when first seen, with an id derived from issuer and sub; unless the
 * operator linked that sub to a user there was before. `scope` or `scp` may name `read`, `write`,
 * `configure`, `admin` (also as `reelkeeper:read`); where they name none of these: read and write.
 */
import { createHash } from 'node:crypto'
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload } from 'jose'
import { bootMs } from '#libs/runtime/clock.ts'
import { userScopes, type Scope } from '#libs/store/api-key.ts'
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
  const known = new Map<string, { userId: string; until: number }>()
  /** A link that the operator makes counts within a minute. */
  const userOf = async (sub: string): Promise<string> => {
    const found = known.get(sub)
    if (found && found.until > bootMs()) return found.userId
    const linked = await users.linkedUser(issuer, sub)
    const userId = linked ?? userIdOf(issuer, sub)
    if (!linked && !found) await users.ensureUser(userId, sub.slice(0, 200))
    if (known.size > 10_000) known.clear()
    known.set(sub, { userId, until: bootMs() + 60_000 })
    return userId
  }
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
      if (!payload) return null
      const sub = subOf(payload)
      return {
        userId: await userOf(sub),
        name: sub.slice(0, 200),
        scopes: scopesOf(payload),
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

/** @throws Problem 401 for what names nobody */
function subOf({ sub }: JWTPayload): string {
  const given: unknown = sub
  if (typeof given === 'string' && /^[^\p{Cc}]{1,255}$/u.test(given) && given.isWellFormed())
    return given
  throw new Problem(
    401,
    'unauthorized',
    'The token’s sub must be text of 1 to 255 characters without control characters.',
  )
}

export function userIdOf(issuer: string, sub: string): string {
  const bytes = createHash('sha256').update(`${issuer}\n${sub}`).digest().subarray(0, 16)
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function scopesOf(payload: JWTPayload): Scope[] {
  const claim = payload['scope'] ?? payload['scp'] ?? ''
  const words = Array.isArray(claim) ? claim : typeof claim === 'string' ? claim.split(' ') : []
  const named = words.map((one) => String(one).replace(/^reelkeeper:/, ''))
  const ours = userScopes.filter((scope) => named.includes(scope))
  return ours.length ? ours : ['read', 'write']
}
