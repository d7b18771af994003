import { createHash } from 'node:crypto'
import { z } from 'zod'
import { commandReplySchema, commandSubject } from '#libs/scene-video/messages.ts'
import { generateVideoSchema, sceneVideoSchema, statuses, type SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { App, Context } from '../app.ts'
import { notFound, Problem } from '../problem.ts'

const idParams = z.object({ id: z.uuid() })
const attemptBody = z.strictObject({ attempt: z.number().int().min(1).optional() }).nullish()

/** Sends a command to submit. @throws Problem when it refuses, BusUnavailable when it is away */
async function command(context: Context, subject: string, body: unknown): Promise<SceneVideo> {
  const reply = commandReplySchema.parse(await context.bus.request(subject, body, 10_000))
  if (reply.ok) return reply.video
  throw new Problem(reply.status, reply.code, reply.detail)
}

/** The Idempotency-Key header, quoted or bare. */
function idempotencyKey(header: string | string[] | undefined): string | null {
  if (header === undefined) return null
  const text = String(header).trim()
  const bare = /^"(.*)"$/.exec(text)?.[1] ?? text
  if (bare.length >= 1 && bare.length <= 255) return bare
  throw new Problem(400, 'invalid_request', 'Idempotency-Key must have 1 to 255 characters.')
}

/** The same for the same content, whatever the order of its fields. */
function hashOf(value: unknown): string {
  const sorted = (_key: string, v: unknown) => (v && typeof v === 'object' && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1))) : v)
  return createHash('sha256').update(JSON.stringify(value, sorted)).digest('hex')
}

const encodeCursor = (id: string) => Buffer.from(id).toString('base64url')
function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined
  const id = z.uuid().safeParse(Buffer.from(cursor, 'base64url').toString())
  if (id.success) return id.data
  throw new Problem(400, 'invalid_request', 'This cursor is not one of ours.', [{ pointer: '/after', detail: 'use `next` of an earlier page' }])
}

export function videoRoutes(app: App, context: Context): void {
  const { auth, reader } = context

  app.post('/api/projects/:projectId/scripts/:scriptId/scenes/:sceneId/generate-video', {
    schema: { params: z.object({ projectId: z.uuid(), scriptId: z.uuid(), sceneId: z.uuid() }), body: generateVideoSchema.nullish(), response: { 202: sceneVideoSchema } },
  }, async (request, reply) => {
    const userId = await auth.userOf(request)
    const body = request.body ?? {}
    const key = idempotencyKey(request.headers['idempotency-key'])
    const video = await command(context, commandSubject.generate, { userId, ...request.params, idempotencyKey: key, bodyHash: hashOf([request.params, body]), body })
    return reply.code(202).header('location', `/api/scene-videos/${video.id}`).send(video)
  })

  app.get('/api/scene-videos/:id', { schema: { params: idParams, response: { 200: sceneVideoSchema } } }, async (request) => {
    const video = await reader.video(await auth.userOf(request), request.params.id)
    if (!video) throw notFound('There is no such video.')
    return video
  })

  app.get('/api/scene-videos', {
    schema: {
      querystring: z.object({
        status: z.enum(statuses).optional(), projectId: z.uuid().optional(), scriptId: z.uuid().optional(), sceneId: z.uuid().optional(),
        limit: z.coerce.number().int().min(1).max(100).default(20), after: z.string().optional(),
      }),
      response: { 200: z.object({ data: z.array(sceneVideoSchema), hasMore: z.boolean(), next: z.string().nullable() }) },
    },
  }, async (request) => {
    const { limit, after, ...filter } = request.query
    const found = await reader.videos(await auth.userOf(request), filter, limit + 1, decodeCursor(after))
    const data = found.slice(0, limit)
    const hasMore = found.length > limit
    return { data, hasMore, next: hasMore ? encodeCursor(data.at(-1)!.id) : null }
  })

  app.get('/api/scene-videos/:id/timeline', { schema: { params: idParams } }, async (request) => {
    const data = await reader.timeline(await auth.userOf(request), request.params.id)
    if (!data) throw notFound('There is no such video.')
    return { data }
  })

  for (const verb of ['cancel', 'retry'] as const) {
    app.post(`/api/scene-videos/:id/${verb}`, { schema: { params: idParams, body: attemptBody, response: { 202: sceneVideoSchema } } }, async (request, reply) => {
      const userId = await auth.userOf(request)
      const video = await command(context, commandSubject[verb], { userId, id: request.params.id, attempt: request.body?.attempt ?? null })
      return reply.code(202).send(video)
    })
  }

  app.get('/api/scene-videos/:id/file', { schema: { params: idParams } }, async (request, reply) => {
    const video = await reader.video(await auth.userOf(request, true), request.params.id)
    if (!video) throw notFound('There is no such video.')
    if (!video.videoUrl) throw new Problem(404, 'not_stored', 'There is no file yet: the video is not completed.')
    return reply.redirect(video.videoUrl, 302)
  })
}
