import { z } from 'zod'
import { scopes } from '#libs/store/api-key.ts'

export const keySchema = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    scopes: z.array(z.enum(scopes)),
    createdAt: z.iso.datetime(),
    revokedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'ApiKey' })
export const newKeySchema = keySchema
  .extend({ apiKey: z.string().describe('rk_<id>_<secret>: shown this once') })
  .meta({ id: 'NewApiKey' })
