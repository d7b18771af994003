/** The video itself; until it is kept here, a redirect to the provider's link. */
import { z } from 'zod'
import type { Route } from '../context.ts'
import { isWithin } from '../identity.ts'
import { notFound, Problem } from '../problem.ts'
import { ids, tokenQuery } from '../schemas.ts'
import { noVideo } from './get-video.ts'

/** As a header may carry it; null where it is no address that a browser should follow. */
export function safeLink(link: string): string | null {
  const url = URL.parse(link)
  return url && /^https?:$/.test(url.protocol) && url.hostname !== '' ? url.href : null
}

export const getFile: Route = (app, { reader }) => {
  app.get(
    '/api/scene-videos/:id/file',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        operationId: 'getFile',
        tags: ['videos'],
        summary: 'The video itself',
        security: [{ apiKey: [] }, { token: [] }],
        params: ids('id'),
        querystring: tokenQuery,
        response: { 302: z.null().describe('To the provider’s link') },
        'x-problems': [404],
      },
    },
    async (request, reply) => {
      const video = await reader.video(request.identity.userId, request.params.id)
      if (!video || !isWithin(request.identity, video)) throw notFound(noVideo)
      const link = video.videoUrl === null ? null : safeLink(video.videoUrl)
      if (link === null)
        throw new Problem(
          404,
          'not_stored',
          video.videoUrl === null
            ? 'There is no file yet: the video is not completed. Follow its events, or ask again later.'
            : 'The provider’s link is no http or https address.',
        )
      return reply.header('referrer-policy', 'no-referrer').redirect(link, 302)
    },
  )
}
