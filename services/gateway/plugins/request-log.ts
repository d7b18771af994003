/**
 * One line a request, with its id: the same that the answer carries as `x-request-id` and a problem
 * as `requestId`. A caller may give its own.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { App } from '../context.ts'

const ours = /^[\w.:-]{1,64}$/

export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && ours.test(given) ? given : randomUUID()
}

/** Asked again and again, by machines. */
const quiet = new Set(['/livez', '/readyz'])

export function registerRequestLog(app: App): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url
    const level = route !== undefined && quiet.has(route) ? 'debug' : 'info'
    request.log[level](
      {
        method: request.method,
        // never the query: it may carry a token
        path: request.url.split('?')[0],
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
        ...(request.identity ? { user: request.identity.userId } : {}),
      },
      'request',
    )
  })
}
