import { bulkActionSchema } from '../bulk.ts'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { ids } from '../schemas.ts'
import { noBulkAction } from './get-bulk-action.ts'

export const abortBulkAction: Route = (app, { bulkActions }) => {
  app.post(
    '/api/bulk-actions/:id/abort',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'abortBulkAction',
        tags: ['bulk'],
        summary: 'Leave out what is not done yet',
        params: ids('id'),
        response: { 202: bulkActionSchema },
        'x-problems': [404],
      },
    },
    async ({ identity, params }, reply) => {
      await bulkActions.abort(identity.userId, params.id)
      const found = await bulkActions.get(identity.userId, params.id)
      if (!found) throw notFound(noBulkAction)
      return reply.code(202).send(found)
    },
  )
}
