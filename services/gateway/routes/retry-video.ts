import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { leftOut } from '#libs/store/retry-candidates.ts'
import { retryAsPriced } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { preferWait } from '../prefer-wait.ts'
import { attemptBody, idempotencyHeader, ids, preferHeader } from '../schemas.ts'

export const retryVideo: Route = (app, context) => {
  app.post(
    '/api/scene-videos/:id/retry',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'retryVideo',
        tags: ['videos'],
        summary: 'Open the next attempt of a failed video',
        description:
          'First it looks for what the earlier attempts became: a result is taken, a running task adopted. Name the `attempt` you saw, so that two clicks open one.',
        headers: idempotencyHeader.extend(preferHeader.shape),
        params: ids('id'),
        body: attemptBody,
        response: { 202: sceneVideoSchema },
        'x-problems': [402, 404, 409, 422],
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { userId } = request.identity
      const body = {
        id,
        attempt: request.body?.attempt ?? null,
        idempotencyKey: idempotencyKeyOf(request, 'retry'),
      }
      const [found] = context.prices.areKnown
        ? await context.retries.ofFailed({ userId, ids: [id] }, leftOut)
        : []
      const video = await retryAsPriced(context, request.identity, body, found)
      void reply.code(202)
      return reply.send(await preferWait(context, request, reply, video))
    },
  )
}
