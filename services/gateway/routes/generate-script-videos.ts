/** A video for every scene of a script, or for those that have none. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { generateVideoSchema, sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import type { SceneRecord } from '#libs/store/library.ts'
import { costSchema } from '../bulk.ts'
import { admit, command } from '../commands.ts'
import type { Context, Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { eachInOrder } from '../many.ts'
import { orderOf } from '../models.ts'
import { sumOf } from '../prices.ts'
import { notFound, unprocessable } from '../problem.ts'
import { idempotencyHeader, ids } from '../schemas.ts'

const mostScenes = 500

export const generateVideosBody = generateVideoSchema.omit({ prompt: true }).extend({
  only: z
    .enum(['missing', 'all'])
    .default('missing')
    .describe('`missing`: scenes without a video, or whose newest one failed'),
  dryRun: z.boolean().default(false).describe('Only say which scenes it would be'),
})
export const generatedSchema = z
  .object({
    data: z.array(sceneVideoSchema).describe('In the order of the scenes; empty in a dry run'),
    sceneIds: z.array(z.uuid()).describe('The scenes that got one, or would'),
    cost: costSchema,
    dryRun: z.boolean(),
  })
  .meta({ id: 'GeneratedVideos' })

async function scenesOf(
  context: Context,
  userId: string,
  place: { projectId: string; scriptId: string },
) {
  const page = { limit: mostScenes + 1, archived: false }
  const scenes = await context.library.scenes(userId, place, page)
  if (!scenes) throw notFound('There is no such script in that project.')
  if (scenes.length > mostScenes)
    throw unprocessable('too_many', '', `a script of more than ${mostScenes} scenes is too long`)
  return scenes
}

const hasNone = ({ newestVideo }: SceneRecord) =>
  newestVideo === null || newestVideo.status === 'failed'

export const generateScriptVideos: Route = (app, context) => {
  app.post(
    '/api/projects/:projectId/scripts/:scriptId/generate-videos',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'generateScriptVideos',
        tags: ['videos'],
        summary: 'Generate a video for every scene of a script',
        headers: idempotencyHeader,
        params: ids('projectId', 'scriptId'),
        body: generateVideosBody.nullish(),
        response: { 200: generatedSchema.describe('The dry run'), 202: generatedSchema },
        'x-problems': [402, 404, 409, 422],
      },
    },
    async (request, reply) => {
      const { identity, params } = request
      const { only = 'missing', dryRun = false, ...asked } = request.body ?? {}
      const place = { userId: identity.userId, projectId: params.projectId }
      const { micros, ...order } = await orderOf(context, context.aiConfigs, place, asked)
      const found = await scenesOf(context, identity.userId, params)
      const key = idempotencyKeyOf(request, 'generate-videos')
      const prefix =
        key && createHash('sha256').update(`${key.key} ${params.scriptId}`).digest('hex')
      // what an earlier request under this key made is not missing for it
      const made = prefix
        ? await context.reader.videosUnderKey(identity.userId, 'generate-videos', prefix)
        : []
      const before = new Set(made.map((video) => video.sceneId))
      const scenes = found.filter(
        (scene) => only === 'all' || before.has(scene.id) || hasNone(scene),
      )
      const sceneIds = scenes.map((scene) => scene.id)
      // what an earlier request under this key made is counted already
      const missing = sceneIds.filter((sceneId) => !before.has(sceneId))
      const { price, micros: total } = sumOf(
        context.prices,
        missing.map(() => micros),
      )
      const cost = { late: 0, adopted: 0, creates: missing.length, waiting: 0, price }
      if (dryRun) return reply.code(200).send({ data: [], sceneIds, cost, dryRun })
      // all of them or none
      const all = { n: missing.length, micros: total }
      const admitted = await admit(context, identity.userId, all)
      const data = await eachInOrder(sceneIds, (sceneId) => {
        const idempotencyKey = key && { ...key, key: `${prefix} ${sceneId}` }
        const one = { ...params, ...order, sceneId, idempotencyKey }
        const paid = before.has(sceneId) ? { admitted: async () => {} } : { micros, admitted }
        return command(context, identity, 'generate', one, paid)
      })
      return reply.code(202).send({ data, sceneIds, cost, dryRun })
    },
  )
}
