/** Server-sent events and WebSocket, from one source. */
import type { WebSocket } from '@fastify/websocket'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import type { App, Context } from '../context.ts'
import { Hub, type Wanted } from '../live/hub.ts'
import type { Sink } from '../live/outbound.ts'
import { stream } from '../live/stream.ts'
import { notFound, Problem } from '../problem.ts'
import { id, ids, tokenQuery } from './shared.ts'

const heartbeatMs = 15_000
/** Bytes a WebSocket may have unsent before its reader counts as slow. */
const slowBytes = 64 * 1024
const goingAway = 1001

const common = {
  projectId: id.optional(),
  lastEventId: z.string().max(64).optional().describe('As Last-Event-ID'),
}
const query = tokenQuery.extend(common)
const headers = z.object({
  'last-event-id': z
    .string()
    .max(64)
    .optional()
    .describe('The id of the last event received; what came after it follows'),
})
const eventStream = z
  .string()
  .describe(
    'Server-sent events: `snapshot` first, then `requested | submitted | generating | progress | completed | failed | stored`; data is a SceneVideo, id is `<generation>-<sequence>`. A comment every 15 s.',
  )
const messageSchema = z
  .object({ id: z.string(), event: z.string(), data: sceneVideoSchema })
  .meta({ id: 'LiveMessage' })

export function liveRoutes(app: App, context: Context): void {
  const { bus, open, reader } = context
  const parts = { hub: new Hub(context.feed), reader, clock: systemClock }

  const wantedBy = async (request: FastifyRequest): Promise<Wanted> => {
    if (open.isFull)
      throw new Problem(
        503,
        'too_many_streams',
        'This gateway has as many streams open as it may: try again shortly, or ask for the videos instead.',
        { retryAfterSeconds: 5 },
      )
    const { userId } = request.identity
    const videoId = (request.params as { id?: string }).id
    const { projectId } = request.query as z.infer<typeof query>
    if (videoId && !(await reader.video(userId, videoId))) throw notFound('There is no such video.')
    if (projectId && !(await reader.project(userId, projectId)))
      throw notFound('There is no such project.')
    if (!bus.isConnected()) throw new BusUnavailable('NATS is not connected')
    return { userId, projectId, videoId }
  }
  const begin = (request: FastifyRequest, wanted: Wanted, sink: Sink, ended: AbortController) => {
    const from =
      request.headers['last-event-id']?.toString() ||
      (request.query as z.infer<typeof query>).lastEventId
    const forget = open.add(request.identity, sink.cut)
    ended.signal.addEventListener('abort', forget, { once: true })
    stream(parts, wanted, from, sink, ended.signal).catch((err: unknown) => {
      request.log.warn({ err }, 'live stream ended')
      sink.cut()
    })
  }

  const sse = async (request: FastifyRequest, reply: FastifyReply) => {
    const wanted = await wantedBy(request)
    if (reply.raw.destroyed) return reply.hijack() // gone meanwhile, and nobody will say so again
    reply.hijack()
    const out = reply.raw
    out.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      connection: 'close',
    })
    out.write(retryHint())
    const ended = new AbortController()
    const heartbeat = setInterval(() => out.write(':\n\n'), heartbeatMs)
    const over = () => {
      ended.abort()
      clearInterval(heartbeat)
    }
    const sink: Sink = {
      write: (frame) => out.write(frame.sse),
      onDrain: (resume) => void out.once('drain', resume),
      mark: (position) => void out.write(`id: ${position}\n\n`),
      cut() {
        if (!ended.signal.aborted) out.end(retryHint())
        over()
      },
    }
    out.on('close', over)
    begin(request, wanted, sink, ended)
  }

  const live = {
    tags: ['live'],
    security: [{ apiKey: [] }, { token: [] }],
    headers,
    response: {
      200: { description: 'The events', content: { 'text/event-stream': { schema: eventStream } } },
    },
  }
  const access = { config: { access: { scope: 'read', token: true } } } as const
  app.get(
    '/api/scene-videos/:id/events',
    {
      ...access,
      schema: {
        ...live,
        operationId: 'videoEvents',
        summary: 'What happens to one video, live',
        params: ids('id'),
        querystring: query.omit({ projectId: true }),
        'x-problems': [404],
      },
    },
    sse,
  )
  app.get(
    '/api/events',
    {
      ...access,
      schema: {
        ...live,
        operationId: 'events',
        summary: 'What happens to the user’s videos, live',
        querystring: query,
        'x-problems': [404],
      },
    },
    sse,
  )

  const wanted = new WeakMap<FastifyRequest, Wanted>()
  const follow = (socket: WebSocket, request: FastifyRequest) => {
    const ended = new AbortController()
    let answered = true
    const heartbeat = setInterval(() => {
      if (!answered) return socket.terminate()
      answered = false
      socket.ping()
    }, heartbeatMs)
    const over = () => {
      ended.abort()
      clearInterval(heartbeat)
    }
    let resume: (() => void) | undefined
    const sent = () => {
      if (socket.bufferedAmount > slowBytes || !resume) return
      const go = resume
      resume = undefined
      go()
    }
    const sink: Sink = {
      write(frame) {
        socket.send(frame.ws, sent)
        return socket.bufferedAmount <= slowBytes
      },
      onDrain: (go) => void (resume = go),
      mark: () => {},
      cut() {
        socket.close(goingAway, 'going away')
        over()
      },
    }
    socket.on('pong', () => (answered = true))
    socket.on('error', () => socket.terminate())
    socket.on('close', over)
    begin(request, wanted.get(request)!, sink, ended)
  }
  app.route({
    method: 'GET',
    url: '/api/ws',
    config: { access: { ...access.config.access, webSocket: true } },
    schema: {
      tags: ['live'],
      security: live.security,
      operationId: 'webSocket',
      summary: 'The same as JSON messages over WebSocket',
      querystring: query,
      response: {
        101: {
          description: 'Each message is one of these',
          content: { 'application/json': { schema: messageSchema } },
        },
      },
      'x-problems': [404, 426],
    },
    preHandler: async (request) => void wanted.set(request, await wantedBy(request)),
    handler: () => {
      throw new Problem(
        426,
        'upgrade_required',
        'This is for WebSockets; for server-sent events there is /api/events.',
      )
    },
    wsHandler: follow,
  })
}

/** Spread out, so that the readers of a gateway that stops do not all come back at one moment. */
const retryHint = () => `retry: ${Math.floor(500 + systemClock.random() * 1_500)}\n\n`
