import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { command } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { preferWait } from '../prefer-wait.ts'
import { attemptBody, idempotencyHeader, ids, preferHeader } from '../schemas.ts'

export const cancelVideo: Route = (app, context) => {
  app.post(
    '/api/scene-videos/:id/cancel',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'cancelVideo',
        tags: ['videos'],
        summary: 'Cancel a video that has not ended',
        description:
          'What the provider has begun it may finish and bill. The answer shows phase `cancelling` until that is carried out.',
        headers: idempotencyHeader.extend(preferHeader.shape),
        params: ids('id'),
        body: attemptBody,
        response: { 202: sceneVideoSchema },
        'x-problems': [404, 409, 422],
      },
    },
    async (request, reply) => {
      const video = await command(context, request.identity, 'cancel', {
        id: request.params.id,
        attempt: request.body?.attempt ?? null,
        idempotencyKey: idempotencyKeyOf(request, 'cancel'),
      })
      void reply.code(202)
      return reply.send(await preferWait(context, request, reply, video))
    },
  )
}
