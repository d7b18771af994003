import { z } from 'zod'
import { waitingForKey } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { limitsOf } from '#libs/store/library.ts'
import { projectSchema } from '../library-kinds.ts'
import { idempotencyHeader, title } from '../schemas.ts'

export const createProject: Route = (app, { projects }) => {
  app.post(
    '/api/projects',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'createProject',
        tags: ['projects'],
        summary: 'A new project',
        headers: idempotencyHeader,
        body: z.strictObject({ title }),
        response: { 201: projectSchema },
        'x-problems': [409, 422],
      },
    },
    async (request, reply) => {
      const key = idempotencyKeyOf(request, 'projects')
      const made = await waitingForKey(() =>
        projects.createProject(request.identity.userId, request.body.title, key),
      )
      return reply
        .code(201)
        .header('location', `/api/projects/${made.id}`)
        .send({
          id: made.id,
          title: made.title,
          createdAt: made.createdAt.toISOString(),
          archivedAt: made.archivedAt?.toISOString() ?? null,
          ...limitsOf(made),
        })
    },
  )
}
