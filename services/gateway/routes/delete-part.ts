/**
 * Erases an archived project, script or scene with its videos. Broken off half-way, it is still
 * there and still archived: sent again, it goes on.
 */
import { z } from 'zod'
import { bootMs } from '#libs/runtime/clock.ts'
import type { Place } from '#libs/store/library.ts'
import { eraseVideo } from '../commands.ts'
import type { Context, Route } from '../context.ts'
import { kinds, placeOf } from '../library-kinds.ts'
import { eachInOrder } from '../many.ts'
import { Problem } from '../problem.ts'

const batch = 200
const mostMs = 50_000

async function erasePart(context: Context, userId: string, place: Place): Promise<void> {
  const { eraser } = context
  await eraser.requireArchived(userId, place)
  if (await eraser.hasOpenVideos(place))
    throw new Problem(409, 'not_ended', 'It has videos that have not ended; cancel them first.')
  const began = bootMs()
  for (;;) {
    const videos = await eraser.videosIn(place, batch)
    if (videos.length === 0) return eraser.eraseWords(place)
    if (bootMs() - began > mostMs)
      throw new Problem(503, 'not_ready', 'It has many videos: send this again, it goes on.')
    await eachInOrder(videos, ({ id }) => eraseVideo(context, userId, id))
  }
}

export const deletePart: Route = (app, context) => {
  for (const { name, word, path, params } of kinds)
    app.delete(
      path,
      {
        config: { access: { scope: 'write' } },
        schema: {
          operationId: `delete${name}`,
          tags: ['projects'],
          summary: `Erase an archived ${word} with its videos`,
          description:
            'Titles, prompts, links and metadata are erased; what says what was paid stays with the operator.',
          params,
          response: { 204: z.null().describe('Erased') },
          'x-problems': [404, 409],
        },
      },
      async (request, reply) => {
        await erasePart(context, request.identity.userId, placeOf(request.params))
        return reply.code(204).send(null)
      },
    )
}
