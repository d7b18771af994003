import { z } from 'zod'
import { port, serviceSettings } from '#libs/runtime/config.ts'

export const gatewaySettings = z.object({
  ...serviceSettings,
  DATABASE_URL: z.string(),
  NATS_URL: z.string(),
  PORT: port(3000),
  HOST: z.string().default('0.0.0.0'),
  /** Secret of toapis' webhooks; without one they are refused. */
  TOAPIS_WEBHOOK_SECRET: z.string().optional(),
})
export type GatewayConfig = z.infer<typeof gatewaySettings>
