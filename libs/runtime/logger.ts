import { pino } from 'pino'
import type { Logger, LoggerOptions } from 'pino'

export type { Logger } from 'pino'

const secretPaths = [
  'apiKey',
  'authorization',
  'key',
  'secret',
  'token',
  'headers.authorization',
  'err.headers',
  'err.request',
]

/**
 * A JSON logger, one line an entry, on stdout or to `out`; `service` names who speaks. Known secret
 * fields are censored.
 */
export function createLogger(
  service: string,
  level = 'info',
  out?: { write(line: string): void },
): Logger {
  const options: LoggerOptions = {
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '[secret]' },
  }
  return out ? pino(options, out) : pino(options)
}
