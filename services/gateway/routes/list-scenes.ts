import { z } from 'zod'
import type { Route } from '../context.ts'
import { sceneSchema } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { archivedQuery, decodeCursor, ids, pageFrom, pageOf } from '../schemas.ts'

export const listScenes: Route = (app, { library }) => {
  app.get(
    '/api/projects/:projectId/scripts/:scriptId/scenes',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'listScenes',
        tags: ['projects'],
        summary: 'The scenes of a script in their order, each with its newest video',
        params: ids('projectId', 'scriptId'),
        querystring: z.strictObject(archivedQuery),
        response: { 200: pageOf('ScenePage', sceneSchema) },
        'x-problems': [404],
      },
    },
    async ({ identity, params, query }) => {
      const { limit, after, archived } = query
      const found = await library.scenes(identity.userId, params, {
        limit: limit + 1,
        after: decodeCursor(after),
        archived: archived === 'true',
      })
      if (!found) throw notFound('There is no such script in that project.')
      return pageFrom(found, limit, (one) => one.id)
    },
  )
}
