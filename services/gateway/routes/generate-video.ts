/** The route of the original service: a video for a scene. */
import { generateVideoSchema, sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { command } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { orderOf } from '../models.ts'
import { preferWait } from '../prefer-wait.ts'
import {
  idempotencyHeader,
  ids,
  imagesAlias,
  preferHeader,
  withImageUrls,
  imagesAt,
} from '../schemas.ts'

export const generateVideo: Route = (app, context) => {
  app.post(
    '/api/projects/:projectId/scripts/:scriptId/scenes/:sceneId/generate-video',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'generateVideo',
        tags: ['videos'],
        summary: 'Generate a video for a scene',
        description: 'All of the body is optional: without a prompt it is the scene’s.',
        headers: idempotencyHeader.extend(preferHeader.shape),
        params: ids('projectId', 'scriptId', 'sceneId'),
        body: generateVideoSchema.extend(imagesAlias).nullish(),
        response: { 202: sceneVideoSchema.describe('Accepted: it will reach completed or failed') },
        'x-problems': [402, 404, 409, 422],
      },
    },
    async (request, reply) => {
      const { identity, params } = request
      const body = withImageUrls(request.body ?? {})
      const place = { userId: identity.userId, projectId: params.projectId }
      const order = await orderOf(context, context.aiConfigs, place, body, imagesAt(request.body))
      const idempotencyKey = idempotencyKeyOf(request, 'generate-video')
      const one = { ...params, ...order, idempotencyKey }
      const video = await command(context, identity, 'generate', one)
      void reply.code(202).header('location', `/api/scene-videos/${video.id}`)
      return reply.send(await preferWait(context, request, reply, video))
    },
  )
}
