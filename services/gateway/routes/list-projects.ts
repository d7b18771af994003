import { z } from 'zod'
import type { Route } from '../context.ts'
import { projectSchema } from '../library-kinds.ts'
import { archivedQuery, decodeCursor, pageFrom, pageOf } from '../schemas.ts'

export const listProjects: Route = (app, { library }) => {
  app.get(
    '/api/projects',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'listProjects',
        tags: ['projects'],
        summary: 'The user’s projects, newest first',
        querystring: z.strictObject(archivedQuery),
        response: { 200: pageOf('ProjectPage', projectSchema) },
      },
    },
    async ({ identity, query }) => {
      const { limit, after, archived } = query
      const found = await library.projects(identity.userId, {
        limit: limit + 1,
        after: decodeCursor(after),
        archived: archived === 'true',
      })
      return pageFrom(found, limit, (one) => one.id)
    },
  )
}
