/** Videos in pages, narrowed by what was asked. A page may be short and still have a next one. */
import { z } from 'zod'
import type { Route } from '../context.ts'
import {
  decodeCursor,
  metadataOf,
  pageQuery,
  pageUntil,
  tokenQuery,
  videoFilterQuery,
  videoPage,
  withMetadata,
} from '../schemas.ts'

export const listVideos: Route = (app, { reader }) => {
  app.get(
    '/api/scene-videos',
    {
      config: { access: { scope: 'read', token: true } },
      schema: {
        operationId: 'listVideos',
        tags: ['videos'],
        summary: 'Videos, newest first',
        description:
          '`metadata.<key>=<value>` finds by metadata. Where few of many fit, a page may have fewer entries than `limit`, or none, and still a `next` one.',
        security: [{ apiKey: [] }, { token: [] }],
        querystring: withMetadata({
          ...videoFilterQuery,
          ...pageQuery,
          ...tokenQuery.shape,
          order: z.enum(['asc', 'desc']).default('desc').describe('By the time of creation'),
        }),
        response: { 200: videoPage },
      },
    },
    async (request) => {
      const { userId, only } = request.identity
      const { limit, after, order, ...query } = request.query
      const foreign = only?.projectId && query.projectId && query.projectId !== only.projectId
      if (foreign) return { data: [], hasMore: false, next: null }
      const { data, next } = await reader.list(
        {
          ...query,
          userId,
          metadata: metadataOf(query),
          ...(only?.projectId ? { projectId: only.projectId } : {}),
          ...(only?.videoId ? { ids: [only.videoId] } : {}),
        },
        { limit, order, after: decodeCursor(after) },
      )
      return pageUntil(data, next)
    },
  )
}
