/** Who asks: an API key `rk_<id>_<secret>`, as a bearer or, on streams, `?token=`. A key is looked up at most every 5 s. */
import { timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Clock } from '#libs/runtime/clock.ts'
import { parseApiKey } from '#libs/store/api-key.ts'
import type { Reader } from '#libs/store/reader.ts'
import { Problem } from './problem.ts'

const cacheMs = 5_000

export class Auth {
  readonly #reader: Reader
  readonly #clock: Clock
  readonly #cache = new Map<string, { until: number; found: { userId: string; secretHash: Uint8Array } | null }>()

  constructor(reader: Reader, clock: Clock) {
    this.#reader = reader
    this.#clock = clock
  }

  /** The user's id. @throws Problem 401 */
  async userOf(request: FastifyRequest, allowToken = false): Promise<string> {
    const bearer = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    const token = allowToken ? (request.query as { token?: string }).token : undefined
    const key = parseApiKey(bearer ?? token ?? '')
    if (!key) throw new Problem(401, 'unauthorized', 'An API key is needed: Authorization: Bearer rk_…')
    const entry = await this.#lookUp(key.id)
    if (!entry || !timingSafeEqual(entry.secretHash, key.secretHash)) throw new Problem(401, 'unauthorized', 'This API key is not valid.')
    return entry.userId
  }

  async #lookUp(id: string) {
    const now = this.#clock.now()
    const cached = this.#cache.get(id)
    if (cached && cached.until > now) return cached.found
    const found = await this.#reader.apiKey(id)
    if (this.#cache.size > 10_000) this.#cache.clear()
    this.#cache.set(id, { until: now + cacheMs, found })
    return found
  }
}
