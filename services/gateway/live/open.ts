/** What the routes of live streams share: who wants what, and whether there is room for it. */
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import type { Context } from '../context.ts'
import { isWithin } from '../identity.ts'
import { notFound, Problem } from '../problem.ts'
import { id, tokenQuery } from '../schemas.ts'
import { leaveTurn } from '../turns.ts'
import type { Wanted } from './hub.ts'
import type { Sink } from './outbound.ts'
import { stream } from './stream.ts'

export const heartbeatMs = 15_000

export const liveQuery = tokenQuery.extend({
  projectId: id.optional().describe('What happens in this project, and nothing else'),
  lastEventId: z.string().max(64).optional().describe('As Last-Event-ID'),
})
type Query = z.output<typeof liveQuery>

const roomProblems = {
  gateway: [503, 'This gateway has as many streams open as it may'],
  user: [429, 'This user has as many streams open as it may'],
  token: [429, 'This token has as many streams open as it may; make one for each reader'],
} as const

/** @throws Problem 503 or 429 */
function requireRoom({ open, limits }: Context, { identity }: FastifyRequest): void {
  const full = open.noRoomFor(identity, limits.valuesOf(identity.userId).streams)
  if (full === null) return
  const [status, words] = roomProblems[full]
  throw new Problem(
    status,
    'too_many_streams',
    `${words}: try again shortly, or ask for the videos instead.`,
    { retryAfterSeconds: 5 },
  )
}

/** @throws Problem, also 404 for what a token may not read; BusUnavailable */
export async function wantedBy(context: Context, request: FastifyRequest): Promise<Wanted> {
  const { bus, reader } = context
  const { identity } = request
  requireRoom(context, request)
  const { userId, only } = identity
  const videoId = (request.params as { id?: string }).id ?? only?.videoId
  const projectId = (request.query as Query).projectId ?? only?.projectId
  if (projectId && only?.projectId && projectId !== only.projectId)
    throw notFound('There is no such project.')
  const video = videoId ? await reader.video(userId, videoId) : null
  if (videoId && (!video || !isWithin(identity, video))) throw notFound('There is no such video.')
  if (video && projectId && video.projectId !== projectId)
    throw notFound('There is no such project.')
  if (projectId && !(await reader.ownsProject(userId, projectId)))
    throw notFound('There is no such project.')
  if (!bus.isConnected()) throw new BusUnavailable('NATS is not connected')
  leaveTurn()
  return { userId, projectId, videoId }
}

/** From where the reader left off, until it is gone. */
export function begin(
  context: Context,
  request: FastifyRequest,
  wanted: Wanted,
  sink: Sink,
  ended: AbortController,
): void {
  const { hub, open, reader } = context
  const from = request.headers['last-event-id']?.toString() || (request.query as Query).lastEventId
  const forget = open.add(request.identity, sink.cut)
  ended.signal.addEventListener('abort', forget, { once: true })
  stream({ hub, reader, clock: systemClock }, wanted, from, sink, ended.signal).catch(
    (err: unknown) => {
      request.log.warn({ err }, 'live stream ended')
      sink.cut()
    },
  )
}
