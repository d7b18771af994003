/** Whether the file of a video outlives the days that files are kept. */
import { z } from 'zod'
import type { Route } from '../context.ts'
import { notFound, Problem } from '../problem.ts'
import { ids } from '../schemas.ts'
import { noVideo } from './get-video.ts'

export const keepVideo: Route = (app, { fileRemoval, reader }) => {
  app.put(
    '/api/scene-videos/:id/keep',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'keepVideo',
        tags: ['videos'],
        summary: 'Keep the file for good, or no longer',
        description:
          'Where files are kept for a number of days (FILE_DAYS), one with `keep` is passed by.',
        params: ids('id'),
        body: z.strictObject({ keep: z.boolean() }),
        response: { 200: z.object({ id: z.uuid(), keep: z.boolean() }) },
        'x-problems': [404],
      },
    },
    async (request) => {
      const { id } = request.params
      const { keep } = request.body
      const { userId } = request.identity
      if (!(await fileRemoval.keep(userId, id, keep))) {
        if (!(await reader.video(userId, id))) throw notFound(noVideo)
        throw new Problem(404, 'not_stored', 'No file of this video is stored.')
      }
      return { id, keep }
    },
  )
}
