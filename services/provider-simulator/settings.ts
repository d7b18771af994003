import { z } from 'zod'

const rate = z.number().min(0).max(1)
const faults = z.strictObject({
  acceptThenTimeout: rate,
  acceptThenReset: rate,
  /** Accepted, and answered by a refusal all the same. */
  acceptThenRefuse: rate,
  status500: rate,
  status503: rate,
  status429: rate,
  unknownStatus: rate,
  malformed: rate,
  slowBody: rate,
  /**
   * The key is refused; a task that is there is answered 404; an error code with a null character
   * in it.
   */
  status401: rate,
  vanish: rate,
  nullByte: rate,
})
/** How the outside world behaves. Times in seconds or, where named so, milliseconds. */
export const settingsSchema = z.strictObject({
  minSeconds: z.number().min(0).max(86_400),
  maxSeconds: z.number().min(0).max(86_400),
  tier: z.enum(['default', 'vip', 'svip', 'off']),
  /** Tasks at once of one account at one provider; null: as many as come. */
  maxParallel: z.number().int().min(1).nullable(),
  /** Progress is told in steps of so many per cent. */
  progressStep: z.number().int().min(1).max(100),
  failRate: rate,
  policyRate: rate,
  faults,
  webhookUrl: z.url().nullable(),
  webhookSecret: z.string().nullable(),
  lookupLagMs: z.number().min(0).max(3_600_000),
  /** An accepted create is answered this much later. */
  createdDelayMs: z.number().min(0).max(600_000),
  /** A task is answered 404 for this long after its end. */
  finishedMissingMs: z.number().min(0).max(86_400_000),
  /** A result's link lives this long. */
  resultLifeSeconds: z.number().min(0).max(10_000_000),
  /** Retry-After of the faults 429 and 503; as an HTTP date where asked for; null: none. */
  retryAfterSeconds: z.number().min(0).nullable(),
  retryAfterAsDate: z.boolean(),
})
export type Settings = z.infer<typeof settingsSchema>
export type Fault = keyof Settings['faults']

export const patchSchema = settingsSchema.partial().extend({ faults: faults.partial().optional() })

export const defaults: Settings = {
  minSeconds: 15,
  maxSeconds: 45,
  tier: 'default',
  maxParallel: null,
  progressStep: 1,
  failRate: 0,
  policyRate: 0,
  faults: {
    acceptThenTimeout: 0,
    acceptThenReset: 0,
    acceptThenRefuse: 0,
    status500: 0,
    status503: 0,
    status429: 0,
    unknownStatus: 0,
    malformed: 0,
    slowBody: 0,
    status401: 0,
    vanish: 0,
    nullByte: 0,
  },
  webhookUrl: null,
  webhookSecret: null,
  lookupLagMs: 0,
  createdDelayMs: 0,
  finishedMissingMs: 0,
  resultLifeSeconds: 86_400,
  retryAfterSeconds: 1,
  retryAfterAsDate: false,
}

export const merge = (settings: Settings, patch: z.infer<typeof patchSchema>): Settings =>
  settingsSchema.parse({ ...settings, ...patch, faults: { ...settings.faults, ...patch.faults } })
