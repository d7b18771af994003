/** The video itself; until it is kept here, a redirect to the provider's link. */
import { z } from 'zod'
import type { Route } from '../context.ts'
import { isWithin } from '../identity.ts'
import { notFound, Problem } from '../problem.ts'
import { presigned, serveFile } from '../serve-file.ts'
import { ids, tokenQuery } from '../schemas.ts'
import { noVideo } from './get-video.ts'

/** As a header may carry it; null where it is no address that a browser should follow. */
export function safeLink(link: string): string | null {
  const url = URL.parse(link)
  return url && /^https?:$/.test(url.protocol) && url.hostname !== '' ? url.href : null
}

export const getFile: Route = (app, context) => {
  const { fileReader, files, presignsFiles } = context
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
        description:
          'Ranges, conditional requests and HEAD as in RFC 9110. Once the video is `stored` this is its file, for good.',
        produces: ['video/mp4', 'video/webm'],
        response: {
          302: z
            .null()
            .describe('To the provider’s link while it is not kept yet, or into the store'),
        },
        'x-problems': [404, 410, 412, 416],
      },
    },
    async (request, reply) => {
      const found = await fileReader.find(request.identity.userId, request.params.id)
      if (!found || !isWithin(request.identity, found.video)) throw notFound(noVideo)
      const { video, key, renewedUrl, sceneTitle } = found
      if (key !== null && video.file) {
        const served = { key, file: video.file, name: sceneTitle ?? video.id }
        const into = presignsFiles ? await presigned(files, served) : null
        return into === null
          ? serveFile(context, served, request, reply)
          : reply.header('referrer-policy', 'no-referrer').redirect(into, 302)
      }
      if (video.fileLoss) {
        const { code, reason } = video.fileLoss
        const detail = code === 'lost' ? `It could not be kept: ${reason}` : reason
        throw new Problem(410, `file_${code}`, detail)
      }
      const url = renewedUrl ?? video.videoUrl
      const link = url === null ? null : safeLink(url)
      if (link === null)
        throw new Problem(
          404,
          'not_stored',
          url === null
            ? 'There is no file yet: the video is not completed. Follow its events, or ask again later.'
            : 'The provider’s link is no http or https address.',
        )
      return reply.header('referrer-policy', 'no-referrer').redirect(link, 302)
    },
  )
}
