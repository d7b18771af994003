import { once } from 'node:events'
import { pino } from 'pino'
import type { Logger, LoggerOptions } from 'pino'
import { sleep } from './clock.ts'

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

/** One for all loggers of the process; written in the background, as pino does by itself. */
let stdout: ReturnType<typeof pino.destination> | undefined
const toStdout = () => (stdout ??= pino.destination({ dest: 1, sync: false }))

/** A reader that is slow is given so long. */
const mostMs = 250

/**
 * Waits until what was logged last is written, or known to be read by nobody; nothing is written
 * after that. For before the exit of a process: there pino's destination tries again for ever to
 * write into a pipe that is broken or full.
 */
export async function logged(): Promise<void> {
  if (!stdout) return
  const end = new AbortController()
  const { signal } = end
  const told = ['drain', 'error'].map((event) => once(stdout!, event, { signal }))
  await Promise.race([...told, sleep(mostMs)]).catch(() => {})
  end.abort()
  stdout.flushSync = () => {}
}

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
  return pino(options, out ?? toStdout())
}
