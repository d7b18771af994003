import { z } from 'zod'
import { commandReplySchema, commandSubject } from '#libs/scene-video/messages.ts'
import {
  actorSchema,
  generateVideoSchema,
  phases,
  sceneVideoSchema,
  statuses,
  type SceneVideo,
} from '#libs/scene-video/scene-video.ts'
import type { App, Context } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { actorOf, type Identity } from '../identity.ts'
import { invalid, notFound, Problem, refusal } from '../problem.ts'
import { id, idempotencyHeader, ids, tokenQuery } from './shared.ts'

const attemptBody = z
  .strictObject({
    attempt: z
      .number()
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .optional(),
  })
  .nullish()
const noVideo = 'There is no such video.'

/**
 * Sends a command of this user to submit. @throws Problem when it refuses, BusUnavailable when it
 * is away
 */
export async function command(
  { bus }: Context,
  identity: Identity,
  subject: string,
  body: object,
): Promise<SceneVideo> {
  const whole = { userId: identity.userId, by: actorOf(identity), ...body }
  const reply = commandReplySchema.parse(await bus.request(subject, whole, 10_000))
  if (reply.ok) return reply.video
  throw refusal(reply)
}

const encodeCursor = (last: string) => Buffer.from(last).toString('base64url')
function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined
  const last = z.uuid().safeParse(Buffer.from(cursor, 'base64url').toString())
  if (last.success) return last.data
  throw invalid('/after', 'this cursor is not one of ours; use `next` of an earlier page')
}

export const timelineSchema = z
  .object({
    data: z.array(
      z.object({
        version: z.number().int(),
        attempt: z.number().int(),
        at: z.iso.datetime(),
        kind: z.string(),
        status: z.enum(statuses),
        phase: z.enum(phases),
        progress: z.number().int().nullable(),
        service: z.string().describe('Which service recorded it'),
        detail: z.unknown(),
        by: actorSchema.nullable().describe('Whose API key asked for it; null where nobody did'),
        epoch: z
          .string()
          .nullable()
          .describe('Fencing token of the owner that reported it; null where none did'),
      }),
    ),
  })
  .meta({ id: 'Timeline' })

export function videoRoutes(app: App, context: Context): void {
  const { reader } = context
  const read = { config: { access: { scope: 'read' } } } as const
  const write = { config: { access: { scope: 'write' } } } as const

  app.post(
    '/api/projects/:projectId/scripts/:scriptId/scenes/:sceneId/generate-video',
    {
      ...write,
      schema: {
        operationId: 'generateVideo',
        tags: ['videos'],
        summary: 'Generate a video for a scene',
        headers: idempotencyHeader,
        params: ids('projectId', 'scriptId', 'sceneId'),
        body: generateVideoSchema.nullish(),
        response: { 202: sceneVideoSchema.describe('Accepted: it will reach completed or failed') },
        'x-problems': [404, 409, 422],
      },
    },
    async (request, reply) => {
      const video = await command(context, request.identity, commandSubject.generate, {
        ...request.params,
        idempotencyKey: idempotencyKeyOf(request, 'generate-video'),
        body: request.body ?? {},
      })
      return reply.code(202).header('location', `/api/scene-videos/${video.id}`).send(video)
    },
  )

  app.get(
    '/api/scene-videos/:id',
    {
      ...read,
      schema: {
        operationId: 'getVideo',
        tags: ['videos'],
        summary: 'One video',
        params: ids('id'),
        response: { 200: sceneVideoSchema },
        'x-problems': [404],
      },
    },
    async (request) => {
      const video = await reader.video(request.identity.userId, request.params.id)
      if (!video) throw notFound(noVideo)
      return video
    },
  )

  app.get(
    '/api/scene-videos',
    {
      ...read,
      schema: {
        operationId: 'listVideos',
        tags: ['videos'],
        summary: 'Videos, newest first',
        querystring: z.object({
          status: z.enum(statuses).optional(),
          projectId: id.optional(),
          scriptId: id.optional(),
          sceneId: id.optional(),
          limit: z.coerce.number().int().min(1).max(100).default(20),
          after: z.string().max(200).optional().describe('`next` of the page before'),
        }),
        response: {
          200: z
            .object({
              data: z.array(sceneVideoSchema),
              hasMore: z.boolean(),
              next: z.string().nullable(),
            })
            .meta({ id: 'SceneVideoPage' }),
        },
      },
    },
    async (request) => {
      const { limit, after, ...filter } = request.query
      const found = await reader.videos(
        request.identity.userId,
        filter,
        limit + 1,
        decodeCursor(after),
      )
      const data = found.slice(0, limit)
      const hasMore = found.length > limit
      return { data, hasMore, next: hasMore ? encodeCursor(data.at(-1)!.id) : null }
    },
  )

  app.get(
    '/api/scene-videos/:id/timeline',
    {
      ...read,
      schema: {
        operationId: 'getTimeline',
        tags: ['videos'],
        summary: 'What happened to a video, oldest first',
        params: ids('id'),
        response: { 200: timelineSchema },
        'x-problems': [404],
      },
    },
    async (request) => {
      const data = await reader.timeline(request.identity.userId, request.params.id)
      if (!data) throw notFound(noVideo)
      return { data }
    },
  )

  for (const [verb, summary] of [
    ['cancel', 'Cancel a video that has not ended'],
    ['retry', 'Open the next attempt of a failed video'],
  ] as const) {
    app.post(
      `/api/scene-videos/:id/${verb}`,
      {
        ...write,
        schema: {
          operationId: `${verb}Video`,
          tags: ['videos'],
          summary,
          headers: idempotencyHeader,
          params: ids('id'),
          body: attemptBody,
          response: { 202: sceneVideoSchema },
          'x-problems': [404, 409, 422],
        },
      },
      async (request, reply) => {
        const video = await command(context, request.identity, commandSubject[verb], {
          id: request.params.id,
          attempt: request.body?.attempt ?? null,
          idempotencyKey: idempotencyKeyOf(request, verb),
        })
        return reply.code(202).send(video)
      },
    )
  }

  app.get(
    '/api/scene-videos/:id/file',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        operationId: 'getFile',
        tags: ['videos'],
        summary: 'The video itself',
        security: [{ apiKey: [] }, { token: [] }],
        params: ids('id'),
        querystring: tokenQuery,
        response: { 302: z.null().describe('To the provider’s link') },
        'x-problems': [404],
      },
    },
    async (request, reply) => {
      const video = await reader.video(request.identity.userId, request.params.id)
      if (!video) throw notFound(noVideo)
      if (!video.videoUrl)
        throw new Problem(
          404,
          'not_stored',
          'There is no file yet: the video is not completed. Follow its events, or ask again later.',
        )
      return reply.redirect(video.videoUrl, 302)
    },
  )
}
