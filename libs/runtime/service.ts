/**
 * The life of a process: one service, started by a function, stopped by SIGTERM or SIGINT.
 *
 * `runService` is the only owner of signals and exit codes. Exit 0 after a clean stop, also while
 * it still waits for what it needs, 1 when the service failed or would not stop in time, 2 when its
 * settings are wrong. An uncaught error ends the process: a supervisor restarts it, and nothing of
 * value lives in its memory.
 */
import type { Logger } from './logger.ts'
import { createLogger } from './logger.ts'
import { ConfigError } from './config.ts'

export interface Service extends AsyncDisposable {
  readonly name: string
  /**
   * Resolves when the service has stopped as asked; rejects when it stopped because of a failure.
   */
  readonly closed: Promise<void>
}

/** Milliseconds a service has to stop after a signal. */
const stopWithin = 20_000

/**
 * Builds a Service whose stop runs once, however often it is asked for. `fail` ends it with an
 * error.
 */
export function createService(
  name: string,
  stop: () => Promise<void>,
): Service & { fail(error: unknown): void } {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  closed.catch(() => {})
  let stopping: Promise<void> | undefined
  return {
    name,
    closed,
    fail: reject,
    [Symbol.asyncDispose]() {
      stopping ??= stop().then(resolve, (error: unknown) => {
        reject(error)
        throw error
      })
      return stopping
    },
  }
}

/** Runs `start` as this process. */
export async function runService(name: string, start: () => Promise<Service>): Promise<void> {
  const log = createLogger(name, process.env['LOG_LEVEL'] || 'info')
  process.on('uncaughtException', (err) => die(log, err, 1))
  process.on('unhandledRejection', (err) => die(log, err, 1))
  const asked = stopRequested()
  const begun = await Promise.race([
    start().catch((err: unknown) => die(log, err, err instanceof ConfigError ? 2 : 1)),
    asked,
  ])
  if (typeof begun === 'string') {
    log.info({ reason: begun }, `${name} stopped before it had started`)
    process.exit(0)
  }
  const service = begun
  const reason = await Promise.race([
    asked,
    service.closed.then(
      () => 'closed',
      (err: unknown) => die(log, err, 1),
    ),
  ])
  log.info({ reason }, `${name} stopping`)
  setTimeout(
    () => die(log, new Error(`did not stop within ${stopWithin} ms`), 1),
    stopWithin,
  ).unref()
  try {
    await service[Symbol.asyncDispose]()
  } catch (err) {
    return die(log, err, 1)
  }
  log.info(`${name} stopped`)
  process.exit(0)
}

/** A signal, or the death of the parent that holds our IPC channel (`npm start`). */
function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    process.on('SIGTERM', () => resolve('SIGTERM'))
    process.on('SIGINT', () => resolve('SIGINT'))
    if (process.channel) process.on('disconnect', () => resolve('parent gone'))
  })
}

function die(log: Logger, err: unknown, code: number): never {
  if (err instanceof ConfigError) log.fatal(err.message)
  else log.fatal({ err }, 'fatal')
  process.exit(code)
}
