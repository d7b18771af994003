import { z } from 'zod'
import { actorSchema, statuses } from '#libs/scene-video/scene-video.ts'
import type { Route } from '../context.ts'
import { operatorAccess } from '../operator-schemas.ts'
import { pageOf, pageQuery } from '../schemas.ts'

const actSchema = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    videoId: z.uuid(),
    userId: z.uuid(),
    attempt: z.number().int(),
    version: z.number().int(),
    kind: z.string(),
    status: z.enum(statuses),
    by: actorSchema,
  })
  .meta({ id: 'Act' })

export const operatorActivity: Route = (app, { operator }) => {
  app.get(
    '/api/operator/activity',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorActivity',
        tags: ['operator'],
        summary: 'What keys asked for, newest first',
        querystring: z.strictObject({
          limit: pageQuery.limit,
          after: z
            .string()
            .regex(/^\d{1,18}$/)
            .optional()
            .describe('`next` of the page before'),
        }),
        response: { 200: pageOf('ActPage', actSchema) },
      },
    },
    async ({ query: { limit, after } }) => {
      const found = await operator.activity(limit + 1, after === undefined ? null : BigInt(after))
      const data = found.slice(0, limit)
      const hasMore = found.length > limit
      return { data, hasMore, next: hasMore ? data.at(-1)!.id : null }
    },
  )
}
