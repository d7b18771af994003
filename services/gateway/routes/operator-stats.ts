import type { Route } from '../context.ts'
import { operatorAccess } from '../operator-schemas.ts'
import { statsQuery, statsRange, statsSchema } from '../stats.ts'

export const operatorStats: Route = (app, { reader }) => {
  app.get(
    '/api/operator/stats',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorStats',
        tags: ['operator'],
        summary: 'Counts, and times to the outcome, over all users',
        querystring: statsQuery,
        response: { 200: statsSchema },
      },
    },
    async ({ query }) => {
      const range = statsRange(query, await reader.now())
      const data = await reader.stats({ ...range, userId: null }, query.by)
      return { ...range.shown, data }
    },
  )
}
