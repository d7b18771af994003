/**
 * `Prefer: wait=N` (RFC 7240): the answer waits until the video has ended, N seconds at most. It
 * counts as a stream while it waits; where there is no room for one, it answers at once, without
 * `Preference-Applied`.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isTerminal, type SceneVideo } from '#libs/scene-video/scene-video.ts'
import { sleep } from '#libs/runtime/clock.ts'
import type { Context } from './context.ts'
import { leaveTurn } from './turns.ts'

const mostSeconds = 60

export function secondsToWait(header: string | string[] | undefined): number {
  const found = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?:$|[,;\s])/i.exec(String(header ?? ''))
  return found ? Math.min(Number(found[1]), mostSeconds) : 0
}

/** The video as it is once it has ended, or when the time is over. */
export async function preferWait(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  video: SceneVideo,
): Promise<SceneVideo> {
  const { hub, limits, open, reader } = context
  const { identity } = request
  const seconds = secondsToWait(request.headers.prefer)
  if (seconds === 0) return video
  if (!isTerminal(video.status)) {
    if (open.noRoomFor(identity, limits.valuesOf(identity.userId).streams) !== null) return video
    const over = new AbortController()
    const end = () => over.abort()
    const forget = open.add(identity, end)
    const unsubscribe = hub.subscribe(
      { userId: identity.userId, videoId: video.id },
      {
        take: ({ frame: { data } }) => isTerminal(data.status) && end(),
        reset: end,
        fallBehind: end,
      },
    )
    request.raw.once('close', end)
    reply.raw.once('close', end)
    try {
      // it may have ended before we listened
      const now = await reader.video(identity.userId, video.id)
      leaveTurn()
      if (now && !isTerminal(now.status)) await sleep(seconds * 1_000, over.signal)
    } finally {
      unsubscribe()
      forget()
    }
  }
  void reply.header('preference-applied', `wait=${seconds}`)
  return (await reader.video(identity.userId, video.id)) ?? video
}
