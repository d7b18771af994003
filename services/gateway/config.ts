import { z } from 'zod'
import { milliseconds, natsSettings, port, serviceSettings } from '#libs/runtime/config.ts'
import { baseUrlSetting } from '#libs/provider/settings.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'

const commaSeparated = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

export const gatewaySettings = z
  .object({
    ...serviceSettings,
    DATABASE_URL: z.string(),
    ...natsSettings,
    PORT: port(3000),
    HOST: z.string().default('0.0.0.0'),
    KEY_ENCRYPTION_KEY: keyEncryptionKey,
    /** Secret of toapis' webhooks; without one they are refused. */
    TOAPIS_WEBHOOK_SECRET: z.string().optional(),
    /** What `source: system` shows; of the key only its last four characters. */
    TOAPIS_BASE_URL: baseUrlSetting.default('https://toapis.com/v1'),
    TOAPIS_MODEL: z.string().default('sora-2'),
    TOAPIS_API_KEY: z.string().optional(),
    /** Lets users give base URLs of private networks: for development only. */
    ALLOW_PRIVATE_BASE_URLS: z.stringbool().default(false),
    /** With all three, JWTs of that issuer are accepted beside API keys. */
    JWKS_URL: z.url().optional(),
    JWT_ISSUER: z.string().optional(),
    JWT_AUDIENCE: z.string().optional(),
    /** Origins that may call from a browser, by commas; `*` is any. */
    CORS_ORIGINS: commaSeparated.default([]),
    /** Requests a minute of one key, on one gateway. */
    RATE_LIMIT_PER_MINUTE: z.coerce.number().int().min(1).default(6_000),
    /**
     * Live streams open at once on one gateway; whoever wants one more gets 503. Some 50 KiB of
     * memory each.
     */
    MAX_STREAMS: z.coerce.number().int().min(1).default(6_000),
    /** How often the keys of open streams are looked up. */
    STREAM_CHECK_INTERVAL_MS: milliseconds(60_000),
    /** Above this mean delay of the event loop new requests get 503. */
    MAX_EVENT_LOOP_DELAY_MS: milliseconds(1_000),
  })
  .refine(
    (config) =>
      new Set(
        [config.JWKS_URL, config.JWT_ISSUER, config.JWT_AUDIENCE].map((one) => one === undefined),
      ).size === 1,
    'JWKS_URL, JWT_ISSUER and JWT_AUDIENCE go together',
  )
export type GatewayConfig = z.infer<typeof gatewaySettings>
