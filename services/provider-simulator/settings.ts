import { z } from 'zod'

const rate = z.number().min(0).max(1)
const faults = z.strictObject({
  acceptThenTimeout: rate, acceptThenReset: rate, status500: rate, status503: rate, status429: rate, unknownStatus: rate, malformed: rate, slowBody: rate,
})
/** How the outside world behaves. Times in seconds or, where named so, milliseconds. */
export const settingsSchema = z.strictObject({
  minSeconds: z.number().min(0).max(86_400),
  maxSeconds: z.number().min(0).max(86_400),
  tier: z.enum(['default', 'vip', 'svip', 'off']),
  failRate: rate,
  policyRate: rate,
  faults,
  webhookUrl: z.url().nullable(),
  webhookSecret: z.string().nullable(),
  lookupLagMs: z.number().min(0).max(3_600_000),
})
export type Settings = z.infer<typeof settingsSchema>
export type Fault = keyof Settings['faults']

export const patchSchema = settingsSchema.partial().extend({ faults: faults.partial().optional() })

export const defaults: Settings = {
  minSeconds: 15, maxSeconds: 45, tier: 'default', failRate: 0, policyRate: 0,
  faults: { acceptThenTimeout: 0, acceptThenReset: 0, status500: 0, status503: 0, status429: 0, unknownStatus: 0, malformed: 0, slowBody: 0 },
  webhookUrl: null, webhookSecret: null, lookupLagMs: 0,
}

export const merge = (settings: Settings, patch: z.infer<typeof patchSchema>): Settings =>
  settingsSchema.parse({ ...settings, ...patch, faults: { ...settings.faults, ...patch.faults } })
