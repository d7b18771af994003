import { z } from 'zod'
import { storable } from '#libs/scene-video/scene-video.ts'
import { userScopes } from '#libs/store/api-key.ts'
import { newKeySchema } from '../api-key-schemas.ts'
import type { Route } from '../context.ts'
import { exceeded } from '../limit-values.ts'

const body = z
  .strictObject({
    name: storable.trim().min(1).max(100).nullish(),
    scopes: z
      .array(z.enum(userScopes))
      .min(1)
      .max(userScopes.length)
      .default(['read', 'write'])
      .describe(
        '`read`, `write` (videos and projects), `configure` (the provider account), `admin` (keys)',
      ),
  })
  .nullish()

export const createApiKey: Route = (app, { apiKeys, limits }) => {
  app.post(
    '/api/api-keys',
    {
      config: { access: { scope: 'admin' } },
      schema: {
        operationId: 'createApiKey',
        tags: ['keys'],
        summary: 'A new API key of the same user',
        body,
        response: { 201: newKeySchema },
      },
    },
    async (request, reply) => {
      const { userId } = request.identity
      const wanted = new Set(request.body?.scopes ?? ['read', 'write'])
      const most = limits.valuesOf(userId).apiKeys
      const key = await apiKeys.createWithin(
        most,
        userId,
        userScopes.filter((scope) => wanted.has(scope)),
        request.body?.name ?? null,
      )
      if (!key) throw exceeded('apiKeys', most, await apiKeys.countOf(userId), 60)
      return reply.code(201).header('cache-control', 'no-store').send(key)
    },
  )
}
