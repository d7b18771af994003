import { z } from 'zod'
import { milliseconds, natsSettings, serviceSettings } from '#libs/runtime/config.ts'

export const reconcilerSettings = z.object({
  ...serviceSettings,
  DATABASE_URL: z.string(),
  ...natsSettings,
  RECONCILE_INTERVAL_MS: milliseconds(120_000, 100),
  /** A video in hand is touched at least once a minute; untouched for this long it is stale. */
  STALE_AFTER_MS: milliseconds(180_000, 100),
  /** How many days files are kept; without it for good. */
  FILE_DAYS: z.coerce.number().int().min(1).max(36_500).optional(),
  /** As status has it: how long public events are kept, in days. */
  EVENT_DAYS: z.coerce.number().int().min(1).max(365).default(7),
})
export type ReconcilerConfig = z.infer<typeof reconcilerSettings>
