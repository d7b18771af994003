/**
 * The simple case: a prompt, and no project, script or scene first. The video gets a scene of its
 * own in the user's own project, which is made once. Sent again under one key, nothing is made
 * twice.
 */
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import { generateVideoSchema, sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { admit, command, waitingForKey } from '../commands.ts'
import type { Context, Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { orderOf } from '../models.ts'
import { preferWait } from '../prefer-wait.ts'
import { notFound } from '../problem.ts'
import {
  idempotencyHeader,
  imagesAlias,
  preferHeader,
  prompt,
  withImageUrls,
  imagesAt,
} from '../schemas.ts'

/** Made once under one key. @throws Problem 404 where the own project went meanwhile */
async function newScene(
  { projects }: Context,
  userId: string,
  { projectId, scriptId }: { projectId: string; scriptId: string },
  text: string,
  key: IdempotencyKey | null,
) {
  const one = { title: null, prompt: text }
  const sceneKey = key && { ...key, route: 'videos-scene' }
  const scene = await waitingForKey(() =>
    projects.createScene(userId, projectId, scriptId, one, sceneKey),
  )
  if (!scene) throw notFound('The user’s own project is gone; ask again.')
  return scene
}

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
        body: generateVideoSchema.extend({ prompt, ...imagesAlias }),
        response: { 202: sceneVideoSchema.describe('Accepted: it will reach completed or failed') },
        'x-problems': [402, 409, 422],
      },
    },
    async (request, reply) => {
      const { identity } = request
      const body = withImageUrls(request.body)
      const { userId } = identity
      const idempotencyKey = idempotencyKeyOf(request, 'videos')
      const place = await context.projects.ownPlace(userId)
      const { projectId } = place
      const inOwn = { userId, projectId }
      const order = await orderOf(context, context.aiConfigs, inOwn, body, imagesAt(request.body))
      // before the scene is made: what is refused leaves nothing behind
      const uncount = await admit(context, userId, { micros: order.micros }, idempotencyKey)
      const scene = await newScene(context, userId, place, body.prompt, idempotencyKey).catch(
        (err: unknown) => {
          uncount(1)
          throw err
        },
      )
      // under an earlier key it may be in a script that was the user's own then
      const at = { projectId, scriptId: scene.scriptId, sceneId: scene.id }
      const one = { ...at, ...order, idempotencyKey }
      const video = await command(context, identity, 'generate', one, uncount)
      void reply.code(202).header('location', `/api/scene-videos/${video.id}`)
      return reply.send(await preferWait(context, request, reply, video))
    },
  )
}
