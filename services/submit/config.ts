import { z } from 'zod'
import { milliseconds, natsSettings, serviceSettings } from '#libs/runtime/config.ts'
import { edgeSettings } from '#libs/provider/settings.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'

export const submitSettings = z
  .object({
    ...serviceSettings,
    DATABASE_URL: z.string(),
    ...natsSettings,
    ...edgeSettings,
    TOAPIS_API_KEY: z
      .string()
      .min(1, 'the key for toapis; videos of users without one of their own use it'),
    /**
     * False for services of the same format that do not keep our own id: a lost answer then ends in
     * `submission_unknown`.
     */
    TOAPIS_FIND_BY_OWN_ID: z.stringbool().default(true),
    TOAPIS_MODEL: z.string().default('sora-2'),
    KEY_ENCRYPTION_KEY: keyEncryptionKey,
    /** How long an answer to a create is waited for. */
    CREATE_TIMEOUT_MS: milliseconds(20_000),
    /** A create is sent only this long after its intent was begun. */
    SEND_WINDOW_MS: milliseconds(5_000),
    /**
     * Absent for this long after the intent means not accepted: create time-out + send window +
     * delivery + look-up lag.
     */
    LOOKUP_WINDOW_MS: milliseconds(60_000),
    /** Requests to providers at once; one account has at most half of them. */
    CREATE_CONCURRENCY: z.coerce.number().int().min(1).max(1000).default(50),
  })
  .refine((config) => config.LOOKUP_WINDOW_MS >= config.CREATE_TIMEOUT_MS + config.SEND_WINDOW_MS, {
    path: ['LOOKUP_WINDOW_MS'],
    message:
      'must be at least CREATE_TIMEOUT_MS + SEND_WINDOW_MS, or a create may still arrive when it is taken for absent',
  })
export type SubmitConfig = z.infer<typeof submitSettings>
