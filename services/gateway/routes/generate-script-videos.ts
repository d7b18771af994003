/** A video for every scene of a script, or for those that have none. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { generateVideoSchema, sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import type { SceneRecord } from '#libs/store/library.ts'
import { costSchema } from '../bulk.ts'
import { admit, command, nothingCounted } from '../commands.ts'
import type { Context, Route } from '../context.ts'
import { claimed, idempotencyKeyOf } from '../idempotency.ts'
import { eachInOrder } from '../many.ts'
import { orderOf } from '../models.ts'
import { sumOf } from '../prices.ts'
import { notFound, unprocessable } from '../problem.ts'
import { idempotencyHeader, ids } from '../schemas.ts'

const route = 'generate-videos'
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

/** By then; null: now. */
const hasNone = ({ newestVideo }: SceneRecord, by: Date | null) =>
  newestVideo === null ||
  (newestVideo.status === 'failed' && (by === null || new Date(newestVideo.completedAt!) <= by))
const wasThere = ({ createdAt }: SceneRecord, by: Date | null) =>
  by === null || new Date(createdAt) <= by

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
      const order = await orderOf(context, context.aiConfigs, place, asked)
      const key = dryRun ? null : idempotencyKeyOf(request, route)
      const prefix =
        key && createHash('sha256').update(`${key.key} ${params.scriptId}`).digest('hex')
      const prepare = async (by: Date | null) => {
        const found = await scenesOf(context, identity.userId, params)
        const spent = dryRun ? null : await context.budget.spentBy(identity.userId)
        // what an earlier request under this key made is not missing for it, and counted already
        const made = prefix
          ? await context.reader.videosUnderKey(identity.userId, route, prefix)
          : []
        const before = new Set(made.map((video) => video.sceneId))
        const sceneIds = found
          .filter((scene) => wasThere(scene, by))
          .filter((scene) => only === 'all' || before.has(scene.id) || hasNone(scene, by))
          .map((scene) => scene.id)
        const creates = sceneIds.filter((sceneId) => !before.has(sceneId)).length
        const { price, micros } = sumOf(
          context.prices,
          Array.from({ length: creates }, () => order.micros),
        )
        const cost = { late: 0, adopted: 0, creates, waiting: 0, price }
        // all of them or none
        const all = { n: creates, micros, spent }
        const admitted = dryRun ? null : await admit(context, identity.userId, all)
        return { sceneIds, before, cost, admitted }
      }
      const { sceneIds, before, cost, admitted } = await claimed(
        context,
        identity.userId,
        key,
        params.scriptId,
        prepare,
      )
      if (!admitted) return reply.code(200).send({ data: [], sceneIds, cost, dryRun })
      const leave = (rest: string[]) =>
        admitted(rest.filter((sceneId) => !before.has(sceneId)).length)
      const data = await eachInOrder(
        sceneIds,
        (sceneId) => {
          const idempotencyKey = key && { ...key, key: `${prefix} ${sceneId}` }
          const one = { ...params, ...order, sceneId, idempotencyKey }
          const uncount = before.has(sceneId) ? nothingCounted : admitted
          return command(context, identity, 'generate', one, uncount)
        },
        leave,
      )
      return reply.code(202).send({ data, sceneIds, cost, dryRun })
    },
  )
}
