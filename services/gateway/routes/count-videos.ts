import { z } from 'zod'
import type { Route } from '../context.ts'
import { metadataOf, videoFilterQuery, withMetadata } from '../schemas.ts'

const count = z.number().int().min(0)
export const countsSchema = z
  .object({
    pending: count,
    generating: count,
    completed: count,
    failed: count,
    total: count,
    isPartial: z
      .boolean()
      .describe('Whether only the newest 50,000 were looked at, as where rows are judged singly'),
  })
  .meta({ id: 'VideoCounts' })

export const countVideos: Route = (app, { reader }) => {
  app.get(
    '/api/scene-videos/counts',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'countVideos',
        tags: ['videos'],
        summary: 'How many videos there are, by status',
        querystring: withMetadata(videoFilterQuery),
        response: { 200: countsSchema },
      },
    },
    async ({ identity, query }) => {
      const filter = { ...query, userId: identity.userId, metadata: metadataOf(query) }
      const { isPartial, ...counts } = await reader.counts(filter)
      const total = counts.pending + counts.generating + counts.completed + counts.failed
      return { ...counts, total, isPartial }
    },
  )
}
