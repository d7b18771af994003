import { z } from 'zod'
import { keySchema } from '../api-key-schemas.ts'
import type { Route } from '../context.ts'

export const listApiKeys: Route = (app, { apiKeys }) => {
  app.get(
    '/api/api-keys',
    {
      config: { access: { scope: 'admin' } },
      schema: {
        operationId: 'listApiKeys',
        tags: ['keys'],
        summary: 'The user’s API keys, without their secrets',
        description: 'All that are valid, and the last 100 that were revoked.',
        response: { 200: z.object({ data: z.array(keySchema) }).meta({ id: 'ApiKeyList' }) },
      },
    },
    async (request) => ({ data: await apiKeys.list(request.identity.userId) }),
  )
}
