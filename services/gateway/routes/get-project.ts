import { z } from 'zod'
import type { Route } from '../context.ts'
import { isWithin } from '../identity.ts'
import { projectSchema } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { ids, tokenQuery } from '../schemas.ts'

const count = z.number().int().min(0)
const aggregateSchema = projectSchema
  .extend({
    counts: z
      .object({ pending: count, generating: count, completed: count, failed: count })
      .describe('Its videos by status'),
    progress: z
      .number()
      .int()
      .min(0)
      .max(100)
      .nullable()
      .describe('Percent: the mean over its videos; ended ones count 100. Null without videos'),
    scenes: z
      .object({
        none: count.describe('Without a video yet'),
        pending: count,
        generating: count,
        completed: count,
        failed: count,
      })
      .nullable()
      .describe('Its scenes by the status of their newest video; null where there are over 10,000'),
  })
  .meta({ id: 'ProjectAggregate' })

export const getProject: Route = (app, { reader }) => {
  app.get(
    '/api/projects/:projectId',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        operationId: 'getProject',
        tags: ['projects'],
        summary: 'A project, and how far its videos are',
        security: [{ apiKey: [] }, { token: [] }],
        params: ids('projectId'),
        querystring: tokenQuery,
        response: { 200: aggregateSchema },
        'x-problems': [404],
      },
    },
    async ({ identity, params }) => {
      const { projectId } = params
      const found = isWithin(identity, { projectId })
        ? await reader.project(identity.userId, projectId)
        : null
      if (!found) throw notFound('There is no such project.')
      return found
    },
  )
}
