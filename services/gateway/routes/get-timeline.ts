import { word } from '#libs/scene-video/words.ts'
import { z } from 'zod'
import { actorSchema, phases, sceneVideoSchema, statuses } from '#libs/scene-video/scene-video.ts'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { decodeCursor, ids, longPageQuery, pageFrom, pageOf } from '../schemas.ts'
import { noVideo } from './get-video.ts'

/** A snapshot may have 30 KB, and more. */
const mostSnapshots = 50

const timelineSchema = pageOf(
  'Timeline',
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
)

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
          ...longPageQuery,
          snapshots: z
            .enum(['true', 'false'])
            .default('false')
            .describe(`Whether each has its snapshot; a page then has ${mostSnapshots} at most`),
        }),
        response: { 200: timelineSchema },
        'x-problems': [404],
      },
    },
    async ({ identity, params, query }) => {
      const snapshots = query.snapshots === 'true'
      const limit = snapshots ? Math.min(query.limit, mostSnapshots) : query.limit
      const after = decodeCursor(query.after, z.string().regex(/^\d{1,18}$/))
      const page = { snapshots, limit: limit + 1, after }
      const found = await reader.timeline(identity.userId, params.id, page)
      if (!found) throw notFound(noVideo)
      const { data, ...more } = pageFrom(found, limit, (one) => one.at)
      return { data: data.map((one) => one.entry), ...more }
    },
  )
}
