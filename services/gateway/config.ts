import { z } from 'zod'
import { milliseconds, natsSettings, port, serviceSettings } from '#libs/runtime/config.ts'
import { fileSettings, uploadSettings } from '#libs/files/settings.ts'
import { providerSettings, webhookSettings } from '#libs/provider/settings.ts'
import { priceListSetting } from './prices.ts'
import { keyEncryptionKey, keySealingKey } from '#libs/runtime/secrets.ts'

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
    ...fileSettings,
    ...uploadSettings,
    /** Largest upload, in bytes. */
    MAX_UPLOAD_BYTES: z.coerce
      .number()
      .int()
      .min(1)
      .default(10 * 1024 ** 2),
    /** Uploads one user may have; those that nothing has used for a day are deleted. */
    MAX_UPLOADS: z.coerce.number().int().min(0).default(1_000),
    /** How files are read: `streamed` by the gateway, or `presigned` links into S3. */
    FILE_LINKS: z.enum(['streamed', 'presigned']).default('streamed'),
    /** A reader of a file who takes nothing for this long is left; what he lacks is a range. */
    FILE_READER_STALL_MS: milliseconds(60_000, 1_000),
    PORT: port(3000),
    HOST: z.string().default('0.0.0.0'),
    /** Seals users' provider keys; only KEY_ENCRYPTION_KEY, whose public half it is, opens them. */
    KEY_SEALING_KEY: keySealingKey.optional(),
    /** Signs stream tokens: 32 bytes in base64; former ones, still good to verify, after commas. */
    STREAM_TOKEN_KEY: keyEncryptionKey.optional(),
    /**
     * Opens users' provider keys: 32 bytes in base64; former ones after commas. A gateway takes it
     * in place of KEY_SEALING_KEY and STREAM_TOKEN_KEY, and needs it not.
     */
    KEY_ENCRYPTION_KEY: keyEncryptionKey.optional(),
    ...providerSettings,
    ...webhookSettings,
    /** Lets users give base URLs of private networks: for development only. */
    ALLOW_PRIVATE_BASE_URLS: z.stringbool().default(false),
    /** With all three, JWTs of that issuer are accepted beside API keys. */
    JWKS_URL: z.url().optional(),
    JWT_ISSUER: z.string().optional(),
    JWT_AUDIENCE: z.string().optional(),
    /** Origins that may call from a browser, by commas; `*` is any. */
    CORS_ORIGINS: commaSeparated.default([]),
    /** Requests a minute of one user, over all its keys and all gateways. */
    RATE_LIMIT_PER_MINUTE: z.coerce.number().int().min(1).default(6_000),
    /** Videos that one user may ask for within a minute, retries among them. */
    MAX_CREATES_PER_MINUTE: z.coerce.number().int().min(0).default(600),
    /** Videos that one user may ask for within a day (UTC), retries among them. */
    MAX_CREATES_PER_DAY: z.coerce.number().int().min(0).default(20_000),
    /**
     * What a create costs, by commas: `toapis/sora-2=0.1/second, fal/*=0.5/video`; `*` is any other
     * model of the provider. What has no price here counts against no budget.
     */
    PRICES: priceListSetting,
    /** What PRICES and budgets are in. */
    PRICE_CURRENCY: z.string().min(1).max(16).default('USD'),
    /** Money one user may spend within a day (UTC), as far as PRICES tell; no bound without. */
    MAX_SPEND_PER_DAY: z.coerce.number().min(0).optional(),
    /** Likewise within a month. */
    MAX_SPEND_PER_MONTH: z.coerce.number().min(0).optional(),
    /** Videos of one user that have not ended. */
    MAX_OPEN_VIDEOS: z.coerce.number().int().min(0).default(10_000),
    /** API keys of one user that are valid. */
    MAX_API_KEYS: z.coerce.number().int().min(0).default(100),
    /**
     * Live streams open at once on one gateway; whoever wants one more gets 503. Some 50 KiB of
     * memory each.
     */
    MAX_STREAMS: z.coerce.number().int().min(1).default(6_000),
    /** Of these, what one user may have open; half of them where it is not set. */
    MAX_STREAMS_PER_USER: z.coerce.number().int().min(1).optional(),
    /** Of these, what one stream token may have open. */
    MAX_STREAMS_PER_TOKEN: z.coerce.number().int().min(1).default(50),
    /** Connections open at once on one gateway; what comes beyond is closed. */
    MAX_CONNECTIONS: z.coerce.number().int().min(1).default(20_000),
    /** Of these, what one address may have open, but for TRUSTED_PROXIES. */
    MAX_CONNECTIONS_PER_ADDRESS: z.coerce.number().int().min(1).default(2_000),
    /** Addresses or subnets of proxies in front, by commas: of many clients each. */
    TRUSTED_PROXIES: commaSeparated
      .default([])
      .pipe(z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]))),
    /** How often the keys of open streams are looked up. */
    STREAM_CHECK_INTERVAL_MS: milliseconds(60_000),
    /** While timers are later than this, new requests get 503. */
    MAX_EVENT_LOOP_DELAY_MS: milliseconds(1_000),
  })
  .refine(
    (config) =>
      config.KEY_ENCRYPTION_KEY !== undefined ||
      (config.KEY_SEALING_KEY !== undefined && config.STREAM_TOKEN_KEY !== undefined),
    'KEY_SEALING_KEY and STREAM_TOKEN_KEY are needed (or KEY_ENCRYPTION_KEY in place of both)',
  )
  .refine(
    (config) =>
      new Set(
        [config.JWKS_URL, config.JWT_ISSUER, config.JWT_AUDIENCE].map((one) => one === undefined),
      ).size === 1,
    'JWKS_URL, JWT_ISSUER and JWT_AUDIENCE go together',
  )
export type GatewayConfig = z.infer<typeof gatewaySettings>
