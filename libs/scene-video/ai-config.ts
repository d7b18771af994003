/** Which provider makes a user's or a project's videos, where, and with whose key. */
import { z } from 'zod'
import { storable } from './scene-video.ts'

/** Without a trailing slash; no credentials, query or fragment. */
const baseUrl = z
  .string()
  .max(2_048)
  .transform((text, context) => {
    const url = URL.parse(text)
    if (
      url &&
      ['http:', 'https:'].includes(url.protocol) &&
      !url.username &&
      !url.password &&
      !url.search &&
      !url.hash
    )
      return url.href.replace(/\/+$/, '')
    context.addIssue('must be an http or https address without credentials, query or fragment')
    return z.NEVER
  })

/**
 * What is absent falls back to the system's; `apiKey` absent keeps the stored one, null removes it.
 */
export const aiConfigBodySchema = z.strictObject({
  provider: storable.min(1).max(64),
  model: storable.trim().min(1).max(128).nullish(),
  baseUrl: baseUrl.nullish(),
  apiKey: z
    .string()
    .regex(/^[\x21-\x7e]{8,512}$/, 'must be 8 to 512 visible ASCII characters')
    .nullish(),
  credentials: z
    .record(z.string().max(64), storable.trim().min(1).max(8_192))
    .optional()
    .describe('Instead of apiKey, where the provider asks for more than one key; by its names'),
})

export type AiConfigBody = z.infer<typeof aiConfigBodySchema>

export const aiConfigSchema = z
  .object({
    provider: z.string(),
    model: z.string(),
    baseUrl: z.string().nullable().describe('Null: the provider’s, or the operator’s own'),
    apiKeyLast4: z.string().nullable().describe('Null: the operator’s key'),
    source: z.enum(['project', 'user', 'system']),
  })
  .meta({ id: 'AiConfig' })
export type AiConfig = z.infer<typeof aiConfigSchema>

/** What the provider made of address and key, asked for a task that cannot exist. */
export const aiConfigTestSchema = z
  .object({
    ok: z.boolean(),
    code: z.enum(['ok', 'no_answer', 'throttled', 'unexpected']),
    detail: z.string(),
    source: z.enum(['project', 'user', 'system']),
  })
  .meta({ id: 'AiConfigTest' })
export type AiConfigTest = z.infer<typeof aiConfigTestSchema>
