import { z } from 'zod'
import { failingChecks } from '#libs/runtime/health.ts'
import type { Route } from '../context.ts'

const readiness = z
  .object({
    status: z.enum(['ok', 'not ready']),
    failing: z.array(z.string()).describe('Names of what is away'),
  })
  .meta({ id: 'Readiness' })

export const readyz: Route = (app, { checks }) => {
  app.get(
    '/readyz',
    {
      schema: {
        operationId: 'readyz',
        tags: ['service'],
        summary: 'May it be sent requests?',
        'x-public': true,
        response: { 200: readiness, 503: readiness },
      },
    },
    async (_request, reply) => {
      const failing = await failingChecks(checks)
      if (failing.length === 0) return { status: 'ok' as const, failing }
      return reply.code(503).header('retry-after', '1').send({ status: 'not ready', failing })
    },
  )
}
