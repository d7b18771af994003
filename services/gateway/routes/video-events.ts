import type { Route } from '../context.ts'
import { liveQuery } from '../live/open.ts'
import { serveSse, sseSchema } from '../live/sse.ts'
import { ids } from '../schemas.ts'

export const videoEvents: Route = (app, context) => {
  app.get(
    '/api/scene-videos/:id/events',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        ...sseSchema,
        operationId: 'videoEvents',
        summary: 'What happens to one video, live',
        params: ids('id'),
        querystring: liveQuery.omit({ projectId: true }),
      },
    },
    serveSse(context),
  )
}
