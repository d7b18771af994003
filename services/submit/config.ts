import { z } from 'zod'
import { fileSettings, uploadSettings } from '#libs/files/settings.ts'
import { milliseconds, natsSettings, serviceSettings } from '#libs/runtime/config.ts'
import {
  configuredProviders,
  credentialNames,
  credentialSettings,
  edgeSettings,
  providerSettings,
} from '#libs/provider/settings.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'

export const submitSettings = z
  .object({
    ...serviceSettings,
    DATABASE_URL: z.string(),
    ...natsSettings,
    ...edgeSettings,
    ...providerSettings,
    ...credentialSettings,
    ...fileSettings,
    ...uploadSettings,
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
  .superRefine((config, context) => {
    for (const { name, isOn, apiKey } of configuredProviders(config)) {
      const isDefault = name === config.PROVIDERS[0]
      const names = credentialNames(name)
      const isBegun = names.some((one) => (config as Record<string, unknown>)[one] !== undefined)
      if (apiKey !== null || !isOn || (!isDefault && !isBegun)) continue
      context.addIssue({
        code: 'custom',
        path: [names[0]!],
        message: `${names.join(', ')}: what opens the account at ${name}; videos of users without one of their own use it`,
      })
    }
  })
export type SubmitConfig = z.infer<typeof submitSettings>
