import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import type { Route } from '../context.ts'
import { isWithin } from '../identity.ts'
import { preferWait } from '../prefer-wait.ts'
import { notFound } from '../problem.ts'
import { ids, preferHeader, tokenQuery } from '../schemas.ts'

export const noVideo = 'There is no such video.'

export const getVideo: Route = (app, context) => {
  app.get(
    '/api/scene-videos/:id',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        operationId: 'getVideo',
        tags: ['videos'],
        summary: 'One video',
        security: [{ apiKey: [] }, { token: [] }],
        headers: preferHeader,
        params: ids('id'),
        querystring: tokenQuery,
        response: { 200: sceneVideoSchema },
        'x-problems': [404],
      },
    },
    async (request, reply) => {
      const { identity, params } = request
      const video = await context.reader.video(identity.userId, params.id)
      if (!video || !isWithin(identity, video)) throw notFound(noVideo)
      return reply.send(await preferWait(context, request, reply, video))
    },
  )
}
