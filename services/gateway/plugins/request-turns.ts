/** Each request whose user is known waits for its turn, and gives it back once it is answered. */
import type { FastifyRequest } from 'fastify'
import { askingFor } from '#libs/store/shared-pool.ts'
import type { App } from '../context.ts'
import { Problem } from '../problem.ts'
import type { Leave, Turns } from '../turns.ts'

/** Whoever waited so long behind requests of its own user is refused: they are too many. */
const mostWaitMs = 30_000

const overloaded = () =>
  new Problem(
    503,
    'overloaded',
    'This user has more requests under way than this gateway can answer; try again shortly.',
    { retryAfterSeconds: 2 },
  )

export function registerTurns(app: App, turns: Turns): void {
  const held = new WeakMap<FastifyRequest, Leave>()
  // after the body has come: it may come slowly
  app.addHook('preValidation', (request, reply, done) => {
    if (!request.routeOptions.config.access) return done()
    const { userId } = request.identity
    turns.enter(userId, (leave, waitedMs) => {
      // gone while it waited
      if (reply.raw.destroyed) return leave()
      held.set(request, leave)
      if (waitedMs > mostWaitMs) return done(overloaded())
      // of the connections to Postgres each user has a share
      askingFor(userId, done)
    })
  })
  const leave = (request: FastifyRequest) => held.get(request)?.()
  app.addHook('onSend', async (request) => leave(request))
  app.addHook('onResponse', async (request) => leave(request))
}
