import { z } from 'zod'
import { waitingForKey } from '../commands.ts'
import type { Route } from '../context.ts'
import { idempotencyKeyOf } from '../idempotency.ts'
import { sceneSchema } from '../library-kinds.ts'
import { notFound } from '../problem.ts'
import { idempotencyHeader, ids, prompt, title } from '../schemas.ts'

export const createScene: Route = (app, { projects, library }) => {
  app.post(
    '/api/projects/:projectId/scripts/:scriptId/scenes',
    {
      config: { access: { scope: 'write' } },
      schema: {
        operationId: 'createScene',
        tags: ['projects'],
        summary: 'A new scene in a script',
        headers: idempotencyHeader,
        params: ids('projectId', 'scriptId'),
        body: z.strictObject({ title: title.nullish(), prompt }),
        response: { 201: sceneSchema },
        'x-problems': [404, 409, 422],
      },
    },
    async (request, reply) => {
      const { userId } = request.identity
      const { projectId, scriptId } = request.params
      const scene = { title: request.body.title ?? null, prompt: request.body.prompt }
      const key = idempotencyKeyOf(request, 'scenes')
      const made = await waitingForKey(() =>
        projects.createScene(userId, projectId, scriptId, scene, key),
      )
      const found = made && (await library.scene(userId, { projectId, scriptId, sceneId: made.id }))
      if (!found) throw notFound('There is no such script in that project.')
      return reply
        .code(201)
        .header('location', `/api/projects/${projectId}/scripts/${scriptId}/scenes/${made.id}`)
        .send(found)
    },
  )
}
