/** Pictures of a kept file: the poster, and the strip of frames. */
import { z } from 'zod'
import { previewKey, previewKinds } from '#libs/scene-video/video-file.ts'
import type { Route } from '../context.ts'
import { isWithin } from '../identity.ts'
import { notFound, Problem } from '../problem.ts'
import { presigned, serveFile } from '../serve-file.ts'
import { ids, tokenQuery } from '../schemas.ts'
import { noVideo } from './get-video.ts'

const summaries = {
  poster: 'One frame of its beginning',
  strip: 'Small frames in one picture, evenly over its duration',
}

export const getPreview: Route = (app, context) => {
  const { fileReader, files, presignsFiles } = context
  for (const kind of previewKinds)
    app.get(
      `/api/scene-videos/:id/${kind}`,
      {
        config: { access: { scope: 'read', token: true } },
        schema: {
          operationId: kind === 'poster' ? 'getPoster' : 'getStrip',
          tags: ['videos'],
          summary: summaries[kind],
          security: [{ apiKey: [] }, { token: [] }],
          params: ids('id'),
          querystring: tokenQuery,
          description: `Once the video is stored, where the installation makes pictures; \`file.${kind}\` tells its size. Ranges, conditional requests and HEAD as in RFC 9110.`,
          produces: ['image/jpeg'],
          response: { 302: z.null().describe('Into the store') },
          'x-problems': [404, 410, 416],
        },
      },
      async (request, reply) => {
        const found = await fileReader.find(request.identity.userId, request.params.id)
        if (!found || !isWithin(request.identity, found.video)) throw notFound(noVideo)
        const { video, key, sceneTitle } = found
        if (video.fileLoss)
          throw new Problem(410, `file_${video.fileLoss.code}`, video.fileLoss.reason)
        const picture = video.file?.[kind]
        if (key === null || !video.file || !picture)
          throw new Problem(404, `no_${kind}`, `There is no ${kind} of this video.`)
        const { sha256, storedAt } = video.file
        const file = { ...picture, storedAt, sha256: `${sha256}-${kind}` }
        const name = `${sceneTitle ?? video.id}-${kind}`
        const served = { key: previewKey(key, kind), file, name }
        const into = presignsFiles ? await presigned(files, served) : null
        return into === null
          ? serveFile(context, served, request, reply)
          : reply.header('referrer-policy', 'no-referrer').redirect(into, 302)
      },
    )
}
