/**
 * Retries the failed videos of a project. Each is retried under a key made of the request's and its
 * own: sent again, the request goes on where it stopped, and retries nothing twice, nor what has
 * failed since.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { sceneVideoSchema, storable } from '#libs/scene-video/scene-video.ts'
import { costsOf, leftOut, mostAtOnce, type LeftOut } from '#libs/store/retry-candidates.ts'
import type { VideoFilter } from '#libs/store/video-filter.ts'
import { costSchema } from '../bulk.ts'
import { admit, priceOfRetries, retryAsPriced } from '../commands.ts'
import type { Context, Route } from '../context.ts'
import { claimed, idempotencyKeyOf } from '../idempotency.ts'
import { eachInOrder } from '../many.ts'
import { notFound, Problem, unprocessable } from '../problem.ts'
import { id, idempotencyHeader, ids } from '../schemas.ts'

export const retryFailedBody = z.strictObject({
  ids: z.array(id).min(1).max(1_000).optional().describe('Only these'),
  codes: z
    .array(storable.min(1).max(64))
    .min(1)
    .max(20)
    .optional()
    .describe('Only those that failed by one of these; also codes that are left out otherwise'),
  include: z.array(z.enum(leftOut)).default([]).describe('What is left out unless it is asked for'),
  dryRun: z.boolean().default(false).describe('Only say which it would be, and what it would cost'),
})
export const retriedSchema = z
  .object({
    data: z.array(sceneVideoSchema).describe('The videos as they are now; empty in a dry run'),
    ids: z.array(z.uuid()).describe('Those that are retried, or would be'),
    cost: costSchema,
    dryRun: z.boolean(),
  })
  .meta({ id: 'RetriedVideos' })

const route = 'retry-failed'

async function find(
  context: Context,
  wanted: VideoFilter,
  include: readonly LeftOut[] = [],
  failedBy: Date | null,
) {
  const candidates = await context.retries.ofFailed(wanted, include, failedBy)
  if (candidates.length > mostAtOnce)
    throw unprocessable('too_many', '', `more than ${mostAtOnce} at once; use ids or codes`)
  const { price } = priceOfRetries(context, candidates)
  return { candidates, cost: { ...costsOf(candidates), price } }
}

export const retryFailed: Route = (app, context) => {
  app.post(
    '/api/projects/:projectId/retry-failed',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'retryFailed',
        tags: ['projects'],
        summary: 'Retry the failed videos of a project',
        description:
          'Left out unless asked for: what was cancelled, what a policy refused (`content_policy`), and what is superseded, its scene having a newer video that completed.',
        headers: idempotencyHeader,
        params: ids('projectId'),
        body: retryFailedBody.nullish(),
        response: { 200: retriedSchema.describe('The dry run'), 202: retriedSchema },
        'x-problems': [402, 404, 409, 422],
      },
    },
    async (request, reply) => {
      const { userId } = request.identity
      const { projectId } = request.params
      const { dryRun = false, include, ids: only, codes } = request.body ?? {}
      if (!(await context.reader.ownsProject(userId, projectId)))
        throw notFound('There is no such project.')
      const wanted = { userId, projectId, ids: only, errorCode: codes }
      if (dryRun) {
        const { candidates, cost } = await find(context, wanted, include, null)
        const found = candidates.map((one) => one.id)
        return reply.code(200).send({ data: [], ids: found, cost, dryRun })
      }
      const key = idempotencyKeyOf(request, route)
      const prefix =
        key && `${createHash('sha256').update(`${key.key} ${projectId}`).digest('hex')} `
      const prepare = async (failedBy: Date | null) => {
        const { candidates, cost } = await find(context, wanted, include, failedBy)
        const spent = await context.budget.spentBy(userId)
        const before = prefix ? await context.reader.videosUnderKey(userId, route, prefix) : []
        const done = new Set(before.map((one) => one.id))
        const todo = candidates.filter((one) => !done.has(one.id))
        const { micros } = priceOfRetries(context, todo)
        // all of them or none
        const admitted = await admit(context, userId, { n: todo.length, micros, spent })
        return { todo, before, cost, admitted }
      }
      const { todo, before, cost, admitted } = await claimed(
        context,
        userId,
        key,
        projectId,
        prepare,
      )
      const retried = await eachInOrder(
        todo,
        (one) => {
          const idempotencyKey = key && { ...key, key: `${prefix}${one.id}` }
          const retry = { id: one.id, attempt: one.attempt, idempotencyKey }
          return retryAsPriced(context, request.identity, retry, one, admitted).catch(
            (err: unknown) => {
              // somebody else was quicker
              if (err instanceof Problem && err.status === 409) return null
              throw err
            },
          )
        },
        (rest) => admitted(rest.length),
      )
      const data = [...before, ...retried.filter((video) => video !== null)]
      return reply.code(202).send({ data, ids: data.map((one) => one.id), cost, dryRun })
    },
  )
}
