import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { scopes } from '#libs/store/api-key.ts'
import type { Route } from '../context.ts'

const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')))
/** What clients may rely on beyond the first version. */
const features = ['bulk-actions', 'erasing', 'metadata-filters', 'prefer-wait', 'scoped-tokens']

export const meSchema = z
  .object({
    userId: z.uuid(),
    name: z.string().nullable(),
    key: z
      .object({ id: z.string(), name: z.string().nullable(), scopes: z.array(z.enum(scopes)) })
      .nullable()
      .describe('The key asked with; null for a JWT'),
    scopes: z.array(z.enum(scopes)),
    version: z.string().describe('Of this gateway'),
    features: z.array(z.string()),
  })
  .meta({ id: 'Me' })

export const getMe: Route = (app, { limits }) => {
  app.get(
    '/api/me',
    {
      config: { access: { scope: 'any' } },
      schema: {
        operationId: 'getMe',
        tags: ['me'],
        summary: 'Who is asking, and with what',
        response: { 200: meSchema },
      },
    },
    async ({ identity }) => {
      const { userId, keyId, name = null } = identity
      const scopesOfKey = [...identity.scopes]
      return {
        userId,
        name: await limits.nameOf(userId),
        key: keyId === undefined ? null : { id: keyId, name, scopes: scopesOfKey },
        scopes: scopesOfKey,
        version,
        features,
      }
    },
  )
}
