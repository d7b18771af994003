/**
 * Retries the failed videos of a project. Each is retried under a key made of the request's and its
 * own: sent again, the request goes on where it stopped, and retries nothing twice.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { sceneVideoSchema, storable } from '#libs/scene-video/scene-video.ts'
import { costsOf, leftOut, mostAtOnce, type Candidate } from '#libs/store/retry-candidates.ts'
import { costSchema } from '../bulk.ts'
import { admit, priceOfRetries, retryAsPriced } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
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
      const { reader } = context
      const { ids: wanted, codes, include = [], dryRun = false } = request.body ?? {}
      if (!(await reader.ownsProject(userId, projectId)))
        throw notFound('There is no such project.')
      const filter = { userId, projectId, ids: wanted, errorCode: codes }
      const candidates = await context.retries.ofFailed(filter, include)
      if (candidates.length > mostAtOnce)
        throw unprocessable('too_many', '', `more than ${mostAtOnce} at once; use ids or codes`)
      const price = (some: Candidate[]) => priceOfRetries(context, some)
      const cost = { ...costsOf(candidates), price: price(candidates).price }
      if (dryRun) {
        const found = candidates.map((one) => one.id)
        return reply.code(200).send({ data: [], ids: found, cost, dryRun })
      }
      const key = idempotencyKeyOf(request, 'retry-failed')
      const prefix =
        key && `${createHash('sha256').update(`${key.key} ${projectId}`).digest('hex')} `
      const before = prefix ? await reader.videosUnderKey(userId, 'retry-failed', prefix) : []
      const done = new Set(before.map((one) => one.id))
      const todo = candidates.filter((one) => !done.has(one.id))
      // all of them or none
      const admitted = await admit(context, userId, { n: todo.length, ...price(todo) })
      const retried = await eachInOrder(todo, (one) => {
        const idempotencyKey = key && { ...key, key: `${prefix}${one.id}` }
        const body = { id: one.id, attempt: one.attempt, idempotencyKey }
        return retryAsPriced(context, request.identity, body, one, admitted).catch(
          (err: unknown) => {
            // somebody else was quicker
            if (err instanceof Problem && err.status === 409) return null
            throw err
          },
        )
      })
      const data = [...before, ...retried.filter((video) => video !== null)]
      return reply.code(202).send({ data, ids: data.map((one) => one.id), cost, dryRun })
    },
  )
}
