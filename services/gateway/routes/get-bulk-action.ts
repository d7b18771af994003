import { bulkActionSchema } from '../bulk.ts'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { ids } from '../schemas.ts'

export const noBulkAction = 'There is no such bulk action.'

export const getBulkAction: Route = (app, { bulkActions }) => {
  app.get(
    '/api/bulk-actions/:id',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getBulkAction',
        tags: ['bulk'],
        summary: 'How far a bulk action is',
        params: ids('id'),
        response: { 200: bulkActionSchema },
        'x-problems': [404],
      },
    },
    async ({ identity, params }) => {
      const found = await bulkActions.get(identity.userId, params.id)
      if (!found) throw notFound(noBulkAction)
      return found
    },
  )
}
