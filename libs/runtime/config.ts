import { z } from 'zod'

/**
 * Thrown when the environment does not fit; its message lists every variable that is wrong and why,
 * and no value.
 */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

/** Reads and validates settings from environment variables. Empty strings count as absent. */
export function readConfig<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv): z.output<T> {
  const present = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
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
