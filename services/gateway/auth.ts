/**
 * Who asks, and what they may do: an API key `rk_<id>_<secret>` or a JWT of the configured issuer,
 * as a bearer. Where something is watched, a stream token also does, as a bearer or as `?token=`:
 * it is worth no more than the key it was made with. An API key in an address is refused, since
 * addresses are logged. A key is looked up at most every 5 s: that long it may
 * outlive its revocation, or its user’s being disabled (for open streams see live/open-streams.ts).
 */
import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '#libs/runtime/clock.ts'
import { parseApiKey, type Scope } from '#libs/store/api-key.ts'
import type { ApiKeys } from '#libs/store/api-keys.ts'
import type { Identity } from './identity.ts'
import type { JwtVerifier } from './jwt.ts'
import { Problem } from './problem.ts'
import type { StreamTokens } from './stream-token.ts'

/** A route's `config.access`. `token`: a stream token does, too. `webSocket`: may be upgraded. */
export interface Access {
  /** `any`: whatever the key may do otherwise. */
  scope: Scope | 'any'
  token?: boolean
  webSocket?: boolean
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    identity: Identity
  }
}

const cacheMs = 5_000
const refused = (detail: string) => new Problem(401, 'unauthorized', detail)

export class Auth {
  readonly #keys: ApiKeys
  readonly #clock: Clock
  readonly #jwt: JwtVerifier | null
  readonly #tokens: StreamTokens
  readonly #cache = new Map<
    string,
    { until: number; found: Awaited<ReturnType<ApiKeys['find']>> }
  >()
  readonly #disabled = new Map<string, { until: number; found: boolean }>()

  constructor(keys: ApiKeys, clock: Clock, jwt: JwtVerifier | null, tokens: StreamTokens) {
    this.#keys = keys
    this.#clock = clock
    this.#jwt = jwt
    this.#tokens = tokens
  }

  /** @throws Problem 401, or 403 when the scope is missing */
  async identify(request: FastifyRequest, access: Access): Promise<Identity> {
    const identity = await this.#identity(request, access.token ?? false)
    const { scope } = access
    if (scope === 'any' || identity.scopes.includes(scope)) return identity
    throw new Problem(
      403,
      'insufficient_scope',
      `This key may not do that: it needs the scope ${scope}.`,
    )
  }

  async #identity(request: FastifyRequest, byToken: boolean): Promise<Identity> {
    const bearer = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const asked = (request.query as Record<string, unknown>)['token']
    const given = bearer ?? (byToken && typeof asked === 'string' ? asked : undefined)
    if (!given) throw refused('A key is needed: Authorization: Bearer rk_…')
    const key = parseApiKey(given)
    if (key && bearer === undefined)
      throw refused(
        'An API key does not belong into an address: make a token by /api/stream-tokens.',
      )
    if (key) return this.#byKey(key)
    const found =
      (byToken ? await this.#tokens.verify(given) : null) ?? (await this.#jwt?.verify(given))
    if (!found) throw refused('This key or token is not valid, or has expired.')
    if (found.keyId) {
      if (!(await this.#lookUp(found.keyId)))
        throw refused('The API key this token was made with is revoked.')
    } else if (await this.#isDisabled(found.userId)) throw refused('This user is disabled.')
    return found
  }

  async #byKey(key: { id: string; secretHash: Buffer }): Promise<Identity> {
    const entry = await this.#lookUp(key.id)
    if (!entry || !timingSafeEqual(entry.secretHash, key.secretHash))
      throw refused('This API key is not valid, or it is revoked.')
    const { userId, scopes, name } = entry
    return { userId, scopes, name, keyId: key.id }
  }

  #lookUp(id: string) {
    return this.#remembered(this.#cache, id, () => this.#keys.find(id))
  }

  /** Of a JWT's user; a key of a disabled user is not found at all. */
  #isDisabled(userId: string): Promise<boolean> {
    return this.#remembered(this.#disabled, userId, async () =>
      (await this.#keys.disabledOf([userId])).has(userId),
    )
  }

  async #remembered<T>(
    cache: Map<string, { until: number; found: T }>,
    id: string,
    ask: () => Promise<T>,
  ): Promise<T> {
    const now = this.#clock.now()
    const cached = cache.get(id)
    if (cached && cached.until > now) return cached.found
    const found = await ask()
    if (cache.size > 10_000) cache.clear()
    cache.set(id, { until: now + cacheMs, found })
    return found
  }

  /** Here at once; other replicas follow when their look-up is due. */
  forget(id: string): void {
    this.#cache.delete(id)
  }
}
