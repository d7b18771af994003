import { z } from 'zod'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { decodeCursor, ids, pageFrom, pageOf, pageQuery } from '../schemas.ts'
import { noBulkAction } from './get-bulk-action.ts'

export const resultSchema = z
  .object({
    videoId: z.uuid(),
    attempt: z.number().int().describe('The attempt that was meant'),
    state: z.enum(['todo', 'done', 'refused', 'skipped']),
    code: z.string().nullable().describe('Of the refusal'),
    detail: z.string().nullable(),
    doneAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'BulkResult' })

export const getBulkResults: Route = (app, { bulkActions }) => {
  app.get(
    '/api/bulk-actions/:id/results',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getBulkResults',
        tags: ['bulk'],
        summary: 'What became of each video of a bulk action',
        params: ids('id'),
        querystring: z.strictObject(pageQuery),
        response: { 200: pageOf('BulkResultPage', resultSchema) },
        'x-problems': [404],
      },
    },
    async ({ identity, params, query }) => {
      const { limit, after } = query
      const found = await bulkActions.results(
        identity.userId,
        params.id,
        limit + 1,
        decodeCursor(after),
      )
      if (!found) throw notFound(noBulkAction)
      return pageFrom(found, limit, (one) => one.videoId)
    },
  )
}
