/**
 * What stands between the network and the routes: who asks, how often, from where, and whether
 * there is room for one more request.
 */
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import rateLimit, {
  type FastifyRateLimitStore,
  type FastifyRateLimitStoreCtor,
} from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { systemClock } from '#libs/runtime/clock.ts'
import type { App, Context } from '../context.ts'
import type { GatewayConfig } from '../config.ts'
import type { Limits } from '../limits.ts'
import { Problem } from '../problem.ts'
import { Pressure } from './pressure.ts'
import { registerTurns } from './request-turns.ts'

const tooMany = (ttlMs: number, limit: number) => {
  const retryAfterSeconds = Math.max(1, Math.ceil(ttlMs / 1000))
  return new Problem(
    429,
    'rate_limited',
    `This user made more than ${limit} requests within a minute; go on in ${retryAfterSeconds} s.`,
    {
      retryAfterSeconds,
      limit: { name: 'requestsPerMinute', limit, used: limit },
    },
  )
}

export async function registerProtection(
  app: App,
  { auth, limits, turns }: Pick<Context, 'auth' | 'limits' | 'turns'>,
  config: GatewayConfig,
): Promise<void> {
  const pressure = new Pressure(systemClock, config.MAX_EVENT_LOOP_DELAY_MS)
  app.addHook('onClose', async () => pressure[Symbol.dispose]())
  app.addHook('onRequest', async (request) => {
    if (!request.url.startsWith('/api') || !pressure.isTooHigh()) return
    throw new Problem(
      503,
      'overloaded',
      'This gateway has more to do than it can; try again shortly.',
      { retryAfterSeconds: 2 },
    )
  })
  await registerHeaders(app, config.CORS_ORIGINS)
  app.decorateRequest('identity')
  app.addHook('onRoute', (options) => {
    const { url, config: route, method, schema } = options
    if (!url.startsWith('/api') || method === 'OPTIONS') return
    if (!route?.access) throw new Error(`${url} does not say who may use it: give it config.access`)
    if (!schema?.operationId || schema.hide)
      throw new Error(`${url} is not described: give it a schema with an operationId`)
    // what is not asked for by name is a mistake of the caller's, and told so
    schema.querystring ??= z.strictObject({})
    // which scope a key needs is described, too
    const { scope } = route.access
    const needed = scope === 'any' ? [] : [scope]
    schema.security = (schema.security ?? [{ apiKey: [] }]).map((one) =>
      'apiKey' in one ? { ...one, apiKey: needed } : one,
    )
  })
  const per = (userId: string) => limits.valuesOf(userId).requestsPerMinute
  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    max: (request: FastifyRequest) => per(request.identity.userId),
    timeWindow: 60_000,
    store: countedBy(limits),
    keyGenerator: (request) => request.identity.userId,
    errorResponseBuilder: (_request, { ttl, max }) => tooMany(ttl, max),
  })
  const limit = app.rateLimit()
  app.addHook('onRequest', async function (request, reply) {
    const { access } = request.routeOptions.config
    if (request.ws && !access?.webSocket)
      throw new Problem(400, 'invalid_request', 'There is no WebSocket here; it is at /api/ws.')
    if (!access) return
    request.identity = await auth.identify(request, access)
    await limits.refresh(request.identity.userId)
    await limit.call(app, request, reply)
  })
  registerTurns(app, turns)
}

async function registerHeaders(app: App, origins: string[]): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    crossOriginResourcePolicy: { policy: 'cross-origin' },
  })
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : origins,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'last-event-id',
      'prefer',
      'x-request-id',
    ],
    exposedHeaders: [
      'location',
      'retry-after',
      'x-request-id',
      'preference-applied',
      'ratelimit-limit',
      'ratelimit-remaining',
      'ratelimit-reset',
    ],
    maxAge: 600,
    strictPreflight: false,
  })
}

/** Users' requests are counted over all gateways: see limits.ts. */
function countedBy(limits: Limits): FastifyRateLimitStoreCtor {
  return class implements FastifyRateLimitStore {
    incr: FastifyRateLimitStore['incr'] = (key, done) => done(null, limits.countRequest(key))
    child(): FastifyRateLimitStore {
      return this
    }
  }
}
