import { word } from '#libs/scene-video/words.ts'
import { z } from 'zod'
import { actorSchema, phases, sceneVideoSchema, statuses } from '#libs/scene-video/scene-video.ts'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { ids } from '../schemas.ts'
import { noVideo } from './get-video.ts'

const timelineSchema = z
  .object({
    data: z.array(
      z.object({
        version: z.number().int(),
        attempt: z.number().int(),
        at: z.iso.datetime(),
        kind: z.string().describe('What happened; the name of an event where it is one'),
        status: z.enum(statuses),
        phase: word(phases),
        progress: z.number().int().nullable().describe('Percent'),
        service: z.string().describe('Which service recorded it'),
        detail: z.unknown(),
        by: actorSchema.nullable().describe('Whose API key asked for it; null where nobody did'),
        epoch: z
          .string()
          .nullable()
          .describe('Fencing token of the owner that reported it; null where none did'),
        snapshot: sceneVideoSchema
          .nullable()
          .optional()
          .describe(
            'With `snapshots=true`: the video as recorded then; null where the entry changed nothing',
          ),
      }),
    ),
  })
  .meta({ id: 'Timeline' })

export const getTimeline: Route = (app, { reader }) => {
  app.get(
    '/api/scene-videos/:id/timeline',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'getTimeline',
        tags: ['videos'],
        summary: 'What happened to a video, oldest first',
        params: ids('id'),
        querystring: z.strictObject({
          snapshots: z
            .enum(['true', 'false'])
            .default('false')
            .describe('Whether each has its snapshot'),
        }),
        response: { 200: timelineSchema },
        'x-problems': [404],
      },
    },
    async ({ identity, params, query }) => {
      const snapshots = query.snapshots === 'true'
      const data = await reader.timeline(identity.userId, params.id, { snapshots })
      if (!data) throw notFound(noVideo)
      return { data }
    },
  )
}
