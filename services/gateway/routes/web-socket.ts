/** The same as server-sent events, as JSON messages over a WebSocket. */
import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import type { Context, Route } from '../context.ts'
import type { Wanted } from '../live/hub.ts'
import { begin, heartbeatMs, liveQuery, wantedBy } from '../live/open.ts'
import type { Sink } from '../live/outbound.ts'
import { Problem } from '../problem.ts'

/** Bytes that may be unsent before a reader counts as slow. */
const slowBytes = 64 * 1024
const goingAway = 1001

const messageSchema = z
  .object({ id: z.string(), event: z.string(), data: sceneVideoSchema })
  .meta({ id: 'LiveMessage' })

function follow(context: Context, socket: WebSocket, request: FastifyRequest, wanted: Wanted) {
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
  begin(context, request, wanted, sink, ended)
}

export const webSocket: Route = (app, context) => {
  const wanted = new WeakMap<FastifyRequest, Wanted>()
  app.route({
    method: 'GET',
    url: '/api/ws',
    config: { access: { scope: 'read', token: true, webSocket: true } },
    schema: {
      operationId: 'webSocket',
      tags: ['live'],
      summary: 'The same as JSON messages over WebSocket',
      security: [{ apiKey: [] }, { token: [] }],
      querystring: liveQuery,
      response: {
        101: {
          description: 'Each message is one of these',
          content: { 'application/json': { schema: messageSchema } },
        },
      },
      'x-problems': [404, 426],
    },
    preHandler: async (request) => void wanted.set(request, await wantedBy(context, request)),
    handler: () => {
      throw new Problem(
        426,
        'upgrade_required',
        'This is for WebSockets; for server-sent events there is /api/events.',
      )
    },
    wsHandler: (socket, request) => follow(context, socket, request, wanted.get(request)!),
  })
}
