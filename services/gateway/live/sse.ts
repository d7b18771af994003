/**
 * Server-sent events. Nothing on the way may transform or keep them (`no-transform`, `no-store`);
 * and a comment comes at once, and again a little later, longer than what some proxies and
 * compressors hold back, so that the head of the answer is not kept waiting for the first event.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { systemClock } from '#libs/runtime/clock.ts'
import type { Context } from '../context.ts'
import { begin, heartbeatMs, wantedBy } from './open.ts'
import type { Sink } from './outbound.ts'

const description =
  'Server-sent events: `snapshot` first, then `requested | submitted | generating | progress | completed | failed | stored`; data is a SceneVideo, id is `<generation>-<sequence>`. A comment every 15 s.'
export const sseSchema = {
  tags: ['live'],
  security: [{ apiKey: [] }, { token: [] }],
  headers: z.object({
    'last-event-id': z
      .string()
      .max(64)
      .optional()
      .describe('The id of the last event received; what came after it follows'),
  }),
  response: {
    200: {
      description: 'The events',
      content: { 'text/event-stream': { schema: z.string().describe(description) } },
    },
  },
  'x-problems': [404],
}

/** Spread out, so that the readers of a gateway that stops do not all come back at one moment. */
const retryHint = () => `retry: ${Math.floor(500 + systemClock.random() * 1_500)}\n\n`
/** Of 2 KiB: what a buffer in between may want before it passes anything on. */
const padding = `:${' '.repeat(2_046)}\n\n`
/** Once more after the head is out: some compressors flush a first block only with the second. */
const secondCommentMs = 250

export const serveSse =
  (context: Context, whose: 'own' | 'everybody' = 'own') =>
  async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const found = await wantedBy(context, request)
    const wanted = whose === 'everybody' ? { userId: null } : found
    const headers = {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store, no-transform',
      'x-accel-buffering': 'no',
      // Caddy's `encode` compresses in spite of no-transform, and keeps what it compressed
      'content-encoding': 'identity',
    }
    if (request.method === 'HEAD') return void reply.headers(headers).send('')
    // gone meanwhile, and nobody will say so again
    if (reply.raw.destroyed) return void reply.hijack()
    reply.hijack()
    const out = reply.raw
    out.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      ...headers,
      connection: 'close',
    })
    out.write(retryHint() + padding)
    const ended = new AbortController()
    const comment = () => out.write(':\n\n')
    const second = setTimeout(comment, secondCommentMs)
    const heartbeat = setInterval(comment, heartbeatMs)
    const over = () => {
      ended.abort()
      clearTimeout(second)
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
    begin(context, request, wanted, sink, ended)
  }
