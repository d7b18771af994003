/** A user's own API keys, and tokens for browsers. A key is shown once, when it is made. */
import { z } from 'zod'
import { storable } from '#libs/scene-video/scene-video.ts'
import { scopes } from '#libs/store/api-key.ts'
import type { App, Context } from '../context.ts'
import { notFound } from '../problem.ts'
import { tokenSeconds } from '../stream-token.ts'

const keySchema = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    scopes: z.array(z.enum(scopes)),
    createdAt: z.iso.datetime(),
    revokedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiKey' })
const newKeySchema = keySchema
  .extend({ apiKey: z.string().describe('rk_<id>_<secret>: shown this once') })
  .meta({ id: 'NewApiKey' })

export function keyRoutes(app: App, { apiKeys, auth, open, streamTokens }: Context): void {
  const admin = { config: { access: { scope: 'admin' } } } as const

  app.post(
    '/api/api-keys',
    {
      ...admin,
      schema: {
        operationId: 'createApiKey',
        tags: ['keys'],
        summary: 'A new API key of the same user',
        body: z
          .strictObject({
            name: storable.trim().min(1).max(100).nullish(),
            scopes: z.array(z.enum(scopes)).min(1).max(scopes.length).default(['read', 'write']),
          })
          .nullish(),
        response: { 201: newKeySchema },
      },
    },
    async (request, reply) => {
      const wanted = new Set(request.body?.scopes ?? ['read', 'write'])
      const key = await apiKeys.create(
        request.identity.userId,
        scopes.filter((scope) => wanted.has(scope)),
        request.body?.name ?? null,
      )
      return reply.code(201).header('cache-control', 'no-store').send(key)
    },
  )

  app.get(
    '/api/api-keys',
    {
      ...admin,
      schema: {
        operationId: 'listApiKeys',
        tags: ['keys'],
        summary: 'The user’s API keys, without their secrets',
        response: { 200: z.object({ data: z.array(keySchema) }).meta({ id: 'ApiKeyList' }) },
      },
    },
    async (request) => ({ data: await apiKeys.list(request.identity.userId) }),
  )

  app.delete(
    '/api/api-keys/:id',
    {
      ...admin,
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

  app.post(
    '/api/stream-tokens',
    {
      config: { access: { scope: 'read' } },
      schema: {
        operationId: 'createStreamToken',
        tags: ['keys'],
        summary: 'A short-lived token for ?token= on streams and files, for browsers',
        body: z
          .strictObject({
            expiresInSeconds: z
              .number()
              .int()
              .min(10)
              .max(tokenSeconds.most)
              .default(tokenSeconds.fallback),
          })
          .nullish(),
        response: {
          201: z
            .object({ token: z.string(), expiresAt: z.iso.datetime() })
            .meta({ id: 'StreamToken' }),
        },
      },
    },
    async (request, reply) => {
      const token = await streamTokens.issue(
        request.identity,
        request.body?.expiresInSeconds ?? tokenSeconds.fallback,
      )
      return reply.code(201).header('cache-control', 'no-store').send(token)
    },
  )
}
