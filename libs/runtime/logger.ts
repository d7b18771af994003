import { pino } from 'pino'
import type { Logger } from 'pino'

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
 * A JSON logger on stdout, one line an entry; `service` names who speaks. Known secret fields are
 * censored.
 */
export function createLogger(service: string, level = 'info'): Logger {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '[secret]' },
  })
}
