/** One video of any user, and what an operator may do with it. The timeline names the key. */
import type { Route } from '../context.ts'
import { command } from '../commands.ts'
import { notFound } from '../problem.ts'
import { operatorAccess, ownedVideoSchema } from '../operator-schemas.ts'
import { attemptBody, ids } from '../schemas.ts'
import { noVideo } from './get-video.ts'

export const operatorVideo: Route = (app, context) => {
  const { operator } = context
  app.get(
    '/api/operator/videos/:id',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorVideo',
        tags: ['operator'],
        summary: 'One video of any user',
        params: ids('id'),
        response: { 200: ownedVideoSchema },
        'x-problems': [404],
      },
    },
    async ({ params }) => {
      const found = await operator.video(params.id)
      if (!found) throw notFound(noVideo)
      return found
    },
  )
  for (const verb of ['cancel', 'retry'] as const)
    app.post(
      `/api/operator/videos/:id/${verb}`,
      {
        ...operatorAccess,
        schema: {
          operationId: `operator${verb === 'cancel' ? 'Cancel' : 'Retry'}`,
          tags: ['operator'],
          summary: `${verb === 'cancel' ? 'Cancel' : 'Retry'} a video of any user`,
          params: ids('id'),
          body: attemptBody,
          response: { 202: ownedVideoSchema },
          'x-problems': [404, 409],
        },
      },
      async ({ identity, params, body }, reply) => {
        const found = await operator.video(params.id)
        if (!found) throw notFound(noVideo)
        const { userId } = found
        const video = await command(context, { ...identity, userId }, verb, {
          id: params.id,
          attempt: body?.attempt ?? null,
        })
        return reply.code(202).send({ ...video, userId })
      },
    )
}
