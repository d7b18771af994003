/**
 * The simple case: a prompt, and no project, script or scene first. The video gets a scene of its
 * own in the user's own project, which is made once. Sent again under one key, nothing is made
 * twice.
 */
import { generateVideoSchema, sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { command, waitingForKey } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { requireAvailable } from '../models.ts'
import { preferWait } from '../prefer-wait.ts'
import { notFound } from '../problem.ts'
import { idempotencyHeader, preferHeader, prompt } from '../schemas.ts'

export const createVideo: Route = (app, context) => {
  app.post(
    '/api/videos',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'createVideo',
        tags: ['videos'],
        summary: 'Generate a video from a prompt',
        headers: idempotencyHeader.extend(preferHeader.shape),
        body: generateVideoSchema.extend({ prompt }),
        response: { 202: sceneVideoSchema.describe('Accepted: it will reach completed or failed') },
        'x-problems': [409, 422],
      },
    },
    async (request, reply) => {
      const { identity, body } = request
      const { userId } = identity
      const idempotencyKey = idempotencyKeyOf(request, 'videos')
      const place = await context.projects.ownPlace(userId)
      const { projectId, scriptId } = place
      await requireAvailable(context, context.aiConfigs, { userId, projectId }, body)
      const scene = await waitingForKey(() =>
        context.projects.createScene(
          userId,
          projectId,
          scriptId,
          { title: null, prompt: body.prompt },
          idempotencyKey && { ...idempotencyKey, route: 'videos-scene' },
        ),
      )
      if (!scene) throw notFound('The user’s own project is gone; ask again.')
      const video = await command(context, identity, 'generate', {
        projectId,
        // under an earlier key it may be in a script that was the user's own then
        scriptId: scene.scriptId,
        sceneId: scene.id,
        idempotencyKey,
        body,
      })
      void reply.code(202).header('location', `/api/scene-videos/${video.id}`)
      return reply.send(await preferWait(context, request, reply, video))
    },
  )
}
