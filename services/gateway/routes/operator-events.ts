import { z } from 'zod'
import type { Route } from '../context.ts'
import { liveQuery } from '../live/open.ts'
import { serveSse, sseSchema } from '../live/sse.ts'
import { operatorAccess } from '../operator-schemas.ts'

export const operatorEvents: Route = (app, context) => {
  app.get(
    '/api/operator/events',
    {
      ...operatorAccess,
      schema: {
        ...sseSchema,
        security: [{ apiKey: [] }],
        operationId: 'operatorEvents',
        tags: ['operator'],
        summary: 'What happens to all videos, live; without a snapshot',
        querystring: z.strictObject({ lastEventId: liveQuery.shape.lastEventId }),
      },
    },
    serveSse(context, 'everybody'),
  )
}
