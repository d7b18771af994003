import { z } from 'zod'
import { waitingForKey } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { scriptSchema } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { idempotencyHeader, ids, title } from '../schemas.ts'

export const createScript: Route = (app, { projects }) => {
  app.post(
    '/api/projects/:projectId/scripts',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'createScript',
        tags: ['projects'],
        summary: 'A new script in a project',
        headers: idempotencyHeader,
        params: ids('projectId'),
        body: z.strictObject({ title }),
        response: { 201: scriptSchema },
        'x-problems': [404, 409, 422],
      },
    },
    async (request, reply) => {
      const { projectId } = request.params
      const key = idempotencyKeyOf(request, 'scripts')
      const made = await waitingForKey(() =>
        projects.createScript(request.identity.userId, projectId, request.body.title, key),
      )
      if (!made) throw notFound('There is no such project.')
      return reply
        .code(201)
        .header('location', `/api/projects/${projectId}/scripts/${made.id}`)
        .send({
          id: made.id,
          projectId: made.projectId,
          title: made.title,
          createdAt: made.createdAt.toISOString(),
          archivedAt: made.archivedAt?.toISOString() ?? null,
        })
    },
  )
}
