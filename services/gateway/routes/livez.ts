import { z } from 'zod'
import type { Route } from '../context.ts'

export const livez: Route = (app) => {
  app.get(
    '/livez',
    {
      schema: {
        operationId: 'livez',
        tags: ['service'],
        summary: 'Does this gateway run?',
        'x-public': true,
        response: { 200: z.object({ status: z.literal('ok') }) },
      },
    },
    () => ({ status: 'ok' as const }),
  )
}
