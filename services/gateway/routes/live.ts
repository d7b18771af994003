import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { App, Context } from '../app.ts'
import { stream, type Sink, type Wanted } from '../live.ts'
import { notFound } from '../problem.ts'

const heartbeatMs = 15_000
const query = z.object({ projectId: z.uuid().optional(), lastEventId: z.string().max(64).optional(), token: z.string().optional() })

/** Server-sent events and WebSocket, from one source. `open` holds what has to end before the server can close. */
export function liveRoutes(app: App, context: Context, open: Set<() => void>): void {
  const { auth, reader } = context

  const mine = async (userId: string, wanted: { projectId?: string | undefined; videoId?: string | undefined }): Promise<Wanted> => {
    if (wanted.videoId && !(await reader.video(userId, wanted.videoId))) throw notFound('There is no such video.')
    if (wanted.projectId && !(await reader.project(userId, wanted.projectId))) throw notFound('There is no such project.')
    return { userId, ...wanted }
  }

  const sse = async (request: FastifyRequest, reply: FastifyReply, wanted: Wanted, lastEventId: string | undefined) => {
    reply.hijack()
    const out = reply.raw
    out.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no', connection: 'keep-alive' })
    out.write('retry: 1000\n\n')
    const ended = new AbortController()
    const close = () => {
      ended.abort()
      clearInterval(heartbeat)
      open.delete(close)
      out.end()
    }
    const heartbeat = setInterval(() => out.write(':\n\n'), heartbeatMs)
    open.add(close)
    out.on('close', close)
    const sink: Sink = {
      write: ({ id, event, data }) => out.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`),
      onDrain: (resume) => void out.once('drain', resume),
      cut: close,
    }
    await stream(context, wanted, lastEventId, sink, ended.signal).catch((err: unknown) => {
      request.log.warn({ err }, 'live stream ended')
      close()
    })
  }
  const lastId = (request: FastifyRequest, fromQuery: string | undefined) => request.headers['last-event-id']?.toString() ?? fromQuery

  app.get('/api/scene-videos/:id/events', { schema: { params: z.object({ id: z.uuid() }), querystring: query } }, async (request, reply) => {
    const wanted = await mine(await auth.userOf(request, true), { videoId: request.params.id })
    return sse(request, reply, wanted, lastId(request, request.query.lastEventId))
  })

  app.get('/api/events', { schema: { querystring: query } }, async (request, reply) => {
    const wanted = await mine(await auth.userOf(request, true), { projectId: request.query.projectId })
    return sse(request, reply, wanted, lastId(request, request.query.lastEventId))
  })

  app.get('/api/ws', {
    websocket: true,
    schema: { querystring: query },
    preValidation: async (request) => void (await auth.userOf(request, true)),
  }, (socket, request) => {
    const ended = new AbortController()
    const close = () => {
      ended.abort()
      clearInterval(heartbeat)
      open.delete(close)
      socket.close(1001, 'going away')
    }
    const heartbeat = setInterval(() => socket.ping(), heartbeatMs)
    open.add(close)
    socket.on('close', close)
    const sink: Sink = {
      write: (message) => {
        socket.send(JSON.stringify(message))
        return socket.bufferedAmount < 1_000_000
      },
      onDrain: (resume) => void setTimeout(resume, 100),
      cut: close,
    }
    const { projectId, lastEventId } = request.query as z.infer<typeof query>
    auth.userOf(request, true).then((userId) => mine(userId, { projectId })).then((wanted) => stream(context, wanted, lastEventId, sink, ended.signal)).catch(close)
  })
}
