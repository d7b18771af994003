import { z } from 'zod'
import type { Route } from '../context.ts'
import { operatorAccess, ownedVideoSchema } from '../operator-schemas.ts'
import {
  decodeCursor,
  id,
  metadataOf,
  pageOf,
  pageQuery,
  pageUntil,
  videoFilterQuery,
  withMetadata,
} from '../schemas.ts'

export const operatorVideos: Route = (app, { operator }) => {
  app.get(
    '/api/operator/videos',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorVideos',
        tags: ['operator'],
        summary: 'Videos of all users, newest first',
        querystring: withMetadata({
          ...videoFilterQuery,
          ...pageQuery,
          userId: id.optional(),
          order: z.enum(['asc', 'desc']).default('desc'),
        }),
        response: { 200: pageOf('OwnedSceneVideoPage', ownedVideoSchema) },
      },
    },
    async ({ query }) => {
      const { limit, after, order, userId = null, ...filter } = query
      const { data, next } = await operator.videos(
        { ...filter, userId, metadata: metadataOf(filter) },
        { limit, order, after: decodeCursor(after) },
      )
      return pageUntil(data, next)
    },
  )
}
