import type { Route } from '../context.ts'
import { liveQuery } from '../live/open.ts'
import { serveSse, sseSchema } from '../live/sse.ts'

export const events: Route = (app, context) => {
  app.get(
    '/api/events',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        ...sseSchema,
        operationId: 'events',
        summary: 'What happens to the user’s videos, live',
        querystring: liveQuery,
      },
    },
    serveSse(context),
  )
}
