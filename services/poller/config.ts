import { z } from 'zod'
import { milliseconds, natsSettings, serviceSettings } from '#libs/runtime/config.ts'
import { edgeSettings, providerSettings } from '#libs/provider/settings.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'

export const pollerSettings = z.object({
  ...serviceSettings,
  ...natsSettings,
  KEY_ENCRYPTION_KEY: keyEncryptionKey,
  ...edgeSettings,
  ...providerSettings,
  POLLER_NAME: z.string().default('poller'),
  POLL_INTERVAL_MS: milliseconds(5_000, 10),
  /**
   * Ask less often while queued and far from the expected end, more often near it: half to three
   * times the interval.
   */
  POLL_ADAPTIVE: z.stringbool().default(false),
  POLL_TIMEOUT_MS: milliseconds(10_000),
  /**
   * A session not renewed for this long may be declared dead by a peer. It is told in the session's
   * record: of two pollers that differ, the longer one counts.
   */
  SESSION_TTL_MS: milliseconds(6_000, 500),
  /**
   * The query budget of one account at a provider, all pollers together, where neither
   * `<NAME>_QUERY_PER_SECOND` is set nor the provider's answers tell it: else what is declared of
   * the provider, or 50.
   */
  QUERY_PER_SECOND: z.coerce.number().positive().optional(),
  QUERY_BURST: z.coerce.number().min(1).optional(),
  /**
   * Queries under way at once; one account has at most half of them, and one that takes over a
   * second counts against its account only.
   */
  POLL_CONCURRENCY: z.coerce.number().int().min(1).max(10_000).default(200),
})
export type PollerConfig = z.infer<typeof pollerSettings>
