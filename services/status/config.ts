import { z } from 'zod'
import { milliseconds, natsSettings, serviceSettings } from '#libs/runtime/config.ts'

export const statusSettings = z.object({
  ...serviceSettings,
  DATABASE_URL: z.string(),
  ...natsSettings,
  /**
   * Reports of this long are gathered into one statement: polls are seconds apart, and a statement
   * costs as much for one report as for twenty.
   */
  BATCH_MS: milliseconds(500, 0),
  BATCH_MAX: z.coerce.number().int().min(1).max(5_000).default(500),
  /** How long public events are kept, in days. */
  EVENT_DAYS: z.coerce.number().int().min(1).max(365).default(7),
  /** Servers of a NATS cluster that hold each stream. */
  NATS_REPLICAS: z.coerce.number().int().min(1).max(5).default(1),
})
export type StatusConfig = z.infer<typeof statusSettings>
