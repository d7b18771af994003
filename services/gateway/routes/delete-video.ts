import { z } from 'zod'
import { eraseVideo } from '../commands.ts'
import type { Route } from '../context.ts'
import { ids } from '../schemas.ts'

export const deleteVideo: Route = (app, context) => {
  app.delete(
    '/api/scene-videos/:id',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'deleteVideo',
        tags: ['videos'],
        summary: 'Erase an ended video',
        description:
          'Its prompt, parameters, metadata and links are erased, and it is not found any more; what says what was paid stays with the operator. Events keep theirs for as long as the stream of events does.',
        params: ids('id'),
        response: { 204: z.null().describe('Erased') },
        'x-problems': [404, 409],
      },
    },
    async (request, reply) => {
      await eraseVideo(context, request.identity.userId, request.params.id)
      return reply.code(204).send(null)
    },
  )
}
