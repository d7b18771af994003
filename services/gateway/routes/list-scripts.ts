import { z } from 'zod'
import type { Route } from '../context.ts'
import { scriptSchema } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { archivedQuery, decodeCursor, ids, pageFrom, pageOf } from '../schemas.ts'

export const listScripts: Route = (app, { library }) => {
  app.get(
    '/api/projects/:projectId/scripts',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'listScripts',
        tags: ['projects'],
        summary: 'The scripts of a project, newest first',
        params: ids('projectId'),
        querystring: z.strictObject(archivedQuery),
        response: { 200: pageOf('ScriptPage', scriptSchema) },
        'x-problems': [404],
      },
    },
    async ({ identity, params, query }) => {
      const { limit, after, archived } = query
      const found = await library.scripts(identity.userId, params.projectId, {
        limit: limit + 1,
        after: decodeCursor(after),
        archived: archived === 'true',
      })
      if (!found) throw notFound('There is no such project.')
      return pageFrom(found, limit, (one) => one.id)
    },
  )
}
