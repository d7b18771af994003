/**
 * What says how this gateway is, and what it offers: without a key. Pages at /docs come from
 * openapi.ts, /metrics is on the service's own port.
 */
import { z } from 'zod'
import { failingChecks, type Checks } from '#libs/runtime/health.ts'
import type { App } from '../context.ts'

const readiness = z
  .object({
    status: z.enum(['ok', 'not ready']),
    failing: z.array(z.string()).describe('Names of what is away'),
  })
  .meta({ id: 'Readiness' })

export function serviceRoutes(app: App, checks: Checks): void {
  const common = { tags: ['service'], 'x-public': true } as const

  app.get(
    '/livez',
    {
      schema: {
        ...common,
        operationId: 'livez',
        summary: 'Does this gateway run?',
        response: { 200: z.object({ status: z.literal('ok') }) },
      },
    },
    () => ({ status: 'ok' as const }),
  )

  app.get(
    '/readyz',
    {
      schema: {
        ...common,
        operationId: 'readyz',
        summary: 'May it be sent requests?',
        response: { 200: readiness, 503: readiness },
      },
    },
    async (_request, reply) => {
      const failing = await failingChecks(checks)
      if (failing.length === 0) return { status: 'ok' as const, failing }
      return reply.code(503).header('retry-after', '1').send({ status: 'not ready', failing })
    },
  )

  app.get(
    '/openapi.json',
    {
      schema: {
        ...common,
        operationId: 'openapi',
        summary: 'This document',
        response: { 200: z.looseObject({ openapi: z.string() }) },
      },
    },
    () => app.swagger() as unknown as { openapi: string },
  )
}
