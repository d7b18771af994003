import type { Route } from '../context.ts'
import { statsQuery, statsRange, statsSchema } from '../stats.ts'

export const getStats: Route = (app, { reader }) => {
  app.get(
    '/api/stats',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getStats',
        tags: ['videos'],
        summary: 'Counts, and times to the outcome, by provider and model',
        querystring: statsQuery,
        response: { 200: statsSchema },
      },
    },
    async ({ identity, query }) => {
      const range = statsRange(query, await reader.now())
      const data = await reader.stats({ ...range, userId: identity.userId }, query.by)
      return { ...range.shown, data }
    },
  )
}
