import { z } from 'zod'

/**
 * Thrown when the environment does not fit; its message lists every variable that is wrong and why,
 * and no value.
 */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** Reads and validates settings from environment variables. Blank ones count as absent. */
export function readConfig<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv): z.output<T> {
  const present = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  )
  const parsed = schema.safeParse(present)
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map(
    (issue) => `  ${issue.path.join('.') || '(environment)'}: ${issue.message}`,
  )
  throw new ConfigError(`These settings are missing or wrong:\n${lines.join('\n')}`)
}

/** A whole number of milliseconds, at least `min`. */
export const milliseconds = (fallback: number, min = 1) =>
  z.coerce.number().int().min(min).default(fallback)

/** A TCP port; 0 takes a free one. */
export const port = (fallback: number) =>
  z.coerce.number().int().min(0).max(65535).default(fallback)

/** Settings that every service has. */
export const serviceSettings = {
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  /** Port of /livez, /readyz and /metrics; 0 takes a free one. */
  HEALTH_PORT: port(0),
  HEALTH_HOST: z.string().default('0.0.0.0'),
}

/**
 * Settings of a service's connection to NATS. Credentials in NATS_URL win over the others.
 * NATS_CREDS, NATS_CA, NATS_CERT and NATS_KEY are files; NATS_NKEY is a seed, or the file that
 * holds it.
 */
export const natsSettings = {
  NATS_URL: z.string(),
  NATS_USER: z.string().optional(),
  NATS_PASSWORD: z.string().optional(),
  NATS_TOKEN: z.string().optional(),
  NATS_CREDS: z.string().optional(),
  NATS_NKEY: z.string().optional(),
  NATS_CA: z.string().optional(),
  NATS_CERT: z.string().optional(),
  NATS_KEY: z.string().optional(),
}
const natsSchema = z.object(natsSettings)
export type NatsSettings = Pick<z.infer<typeof natsSchema>, 'NATS_URL'> &
  Partial<z.infer<typeof natsSchema>>
