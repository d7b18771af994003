import { z } from 'zod'
import type { Route } from '../context.ts'
import { notFound } from '../problem.ts'

export const revokeApiKey: Route = (app, { apiKeys, auth, open }) => {
  app.delete(
    '/api/api-keys/:id',
    {
      config: { access: { scope: 'admin' } },
      schema: {
        operationId: 'revokeApiKey',
        tags: ['keys'],
        summary: 'Revoke an API key, for good',
        params: z.object({ id: z.string().regex(/^[0-9a-z]{1,32}$/i) }),
        response: {
          204: z
            .null()
            .describe(
              'Revoked; other gateways follow within 5 s, and end its open streams within a minute',
            ),
        },
        'x-problems': [404],
      },
    },
    async (request, reply) => {
      if (!(await apiKeys.revoke(request.params.id, request.identity.userId)))
        throw notFound('There is no such key.')
      auth.forget(request.params.id)
      open.endKey(request.params.id)
      return reply.code(204).send(null)
    },
  )
}
