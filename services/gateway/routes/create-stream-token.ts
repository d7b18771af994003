import { z } from 'zod'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'
import { id } from '../schemas.ts'
import { tokenSeconds } from '../stream-token.ts'

export const streamTokenBody = z
  .strictObject({
    projectId: id.optional().describe('It reads this project and no other'),
    videoId: id.optional().describe('It reads this video and no other'),
    expiresInSeconds: z
      .number()
      .int()
      .min(10)
      .max(tokenSeconds.most)
      .default(tokenSeconds.fallback)
      .describe('Seconds; a stream that is open then goes on, a new one needs a new token'),
  })
  .nullish()

export const streamTokenSchema = z
  .object({
    token: z.string(),
    expiresAt: z.iso.datetime(),
    expiresInSeconds: z.number().int().describe('For whoever does not trust its own clock'),
  })
  .meta({ id: 'StreamToken' })

export const createStreamToken: Route = (app, { reader, streamTokens }) => {
  app.post(
    '/api/stream-tokens',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'createStreamToken',
        tags: ['keys'],
        summary: 'A short-lived token for a browser, that reads what may be watched',
        description:
          'For streams, files, a video, a project and lists of videos; by `?token=` or as a bearer. Give `projectId` or `videoId` so that it reads no more than that.',
        body: streamTokenBody,
        response: {
          201: streamTokenSchema,
        },
        'x-problems': [404],
      },
    },
    async (request, reply) => {
      const { identity } = request
      const { userId } = identity
      const { projectId, videoId, expiresInSeconds = tokenSeconds.fallback } = request.body ?? {}
      if (projectId && !(await reader.ownsProject(userId, projectId)))
        throw notFound('There is no such project.')
      if (videoId && !(await reader.video(userId, videoId)))
        throw notFound('There is no such video.')
      const token = await streamTokens.issue(identity, expiresInSeconds, { projectId, videoId })
      return reply.code(201).header('cache-control', 'no-store').send(token)
    },
  )
}
