import { z } from 'zod'
import { storable } from '#libs/scene-video/scene-video.ts'
import { costsOf, leftOut, mostAtOnce } from '#libs/store/retry-candidates.ts'
import { bulkActionSchema } from '../bulk.ts'
import type { Route } from '../context.ts'
import { priceOfRetries, waitingForKey } from '../commands.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { actorOf } from '../identity.ts'
import { unprocessable } from '../problem.ts'
import { id, idempotencyHeader, isRange, notARange, videoFilterQuery } from '../schemas.ts'

const { q, ...listed } = videoFilterQuery
export const bulkActionBody = z
  .strictObject({
    action: z.enum(['retry', 'cancel']),
    ids: z.array(id).min(1).max(1_000).optional().describe('These videos'),
    filter: z
      .strictObject({
        ...listed,
        q,
        metadata: z.record(storable.max(128), storable).optional(),
      })
      .refine(isRange, notARange)
      .optional()
      .describe('As in lists of videos; `{}` is all of them'),
    include: z
      .array(z.enum(leftOut))
      .default([])
      .describe('For retries: what is left out unless it is asked for'),
    dryRun: z
      .boolean()
      .default(false)
      .describe('Only say what it would be, and what it would cost'),
  })
  .refine(({ ids, filter }) => (ids === undefined) !== (filter === undefined), {
    message: 'give either ids or filter',
    path: ['filter'],
  })

export const createBulkAction: Route = (app, context) => {
  app.post(
    '/api/bulk-actions',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'createBulkAction',
        tags: ['bulk'],
        summary: 'Retry or cancel many videos',
        description: `At most ${mostAtOnce} at once. It is carried on whoever asked for it goes away.`,
        headers: idempotencyHeader,
        body: bulkActionBody,
        response: { 200: bulkActionSchema.describe('The dry run'), 202: bulkActionSchema },
        'x-problems': [402, 409, 422],
      },
    },
    async (request, reply) => {
      const { userId } = request.identity
      const { action, ids, filter, include, dryRun } = request.body
      const wanted = { ...filter, ids, userId }
      const { retries, bulkActions } = context
      const videos =
        action === 'retry' ? await retries.ofFailed(wanted, include) : await retries.ofOpen(wanted)
      if (videos.length > mostAtOnce)
        throw unprocessable('too_many', '/filter', `more than ${mostAtOnce} videos; narrow it down`)
      const left = await retries.leftOut(userId, { ids, action }, videos)
      const { micros, price } = priceOfRetries(context, action === 'retry' ? videos : [])
      const cost = { ...costsOf(videos), price }
      const todo = videos.length
      if (dryRun) {
        const total = todo + left.length
        const counts = { total, todo, done: 0, refused: 0, skipped: left.length }
        const none = { id: null, createdAt: null, endedAt: null }
        return reply.code(200).send({ ...none, action, status: 'dry_run', counts, cost })
      }
      const key = idempotencyKeyOf(request, 'bulk-actions')
      const earlier = key && (await context.reader.madeUnder(userId, key))
      if (action === 'retry' && todo > 0 && !earlier) {
        await context.budget.require(userId, micros)
        await context.limits.admitCreates(userId, todo)
      }
      const made = await waitingForKey(() =>
        bulkActions.create(
          { userId, action, by: actorOf(request.identity), videos, left, cost },
          key,
        ),
      )
      context.bulkRunner.wake()
      const found = await bulkActions.get(userId, made)
      return reply.code(202).header('location', `/api/bulk-actions/${made}`).send(found!)
    },
  )
}
