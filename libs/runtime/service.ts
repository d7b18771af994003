/**
 * The life of a process: one service, started by a function, stopped by SIGTERM, SIGINT or SIGHUP.
 *
 * `runService` is the only owner of signals and exit codes. Exit 0 after a clean stop, also while
 * it still waits for what it needs, 1 when the service failed or would not stop in time, 2 when its
 * settings are wrong. An uncaught error ends the process: a supervisor restarts it, and nothing of
 * value lives in its memory.
 */
import { sleep } from './clock.ts'
import { ConfigError } from './config.ts'
import { startHealthServer, type Checks } from './health.ts'
import { createLogger, logged, type Logger } from './logger.ts'
import { Metrics } from './metrics.ts'

export interface Service extends AsyncDisposable {
  readonly name: string
  /**
   * Resolves when the service has stopped as asked; rejects when it stopped because of a failure.
   */
  readonly closed: Promise<void>
}

/** Milliseconds a service has to stop after a signal. */
const stopWithin = 20_000
/** Milliseconds one has that has not started yet. */
const startingStopsWithin = 2_000

/** What every service is built on. */
export interface Skeleton {
  readonly log: Logger
  readonly metrics: Metrics
  /** Named checks of readiness; `build` adds its own. */
  readonly checks: Checks
  /** What is to be closed, in reverse order of adding. */
  readonly stack: AsyncDisposableStack
  /** Aborted when the service is to stop before it has started: waiting ends by throwing. */
  readonly signal: AbortSignal
}

export interface SkeletonOptions {
  name: string
  config: { LOG_LEVEL: string; HEALTH_HOST: string; HEALTH_PORT: number }
  signal?: AbortSignal | undefined
}

/**
 * Starts a service: its health server first, so that it is live while it waits for what it needs,
 * then what `build` opens. It is ready once `build` has returned.
 *
 * It stops in reverse: first what takes work in, with the work in hand, then the ways to others
 * (providers, Postgres, NATS), last the health server. A step of starting that throws closes the
 * steps before it; a step of stopping that throws keeps none of the others from being closed.
 */
export async function startService<T extends object>(
  { name, config, signal = new AbortController().signal }: SkeletonOptions,
  build: (skeleton: Skeleton) => Promise<T>,
): Promise<Service & T> {
  signal.throwIfAborted()
  await using stack = new AsyncDisposableStack()
  const log = createLogger(name, config.LOG_LEVEL)
  const metrics = new Metrics()
  let started = false
  const checks: Checks = { started: () => started }
  const health = await startHealthServer({
    port: config.HEALTH_PORT,
    host: config.HEALTH_HOST,
    checks,
    metrics,
  })
  stack.use(health)
  const built = await build({ log, metrics, checks, stack, signal })
  signal.throwIfAborted()
  started = true
  log.info({ healthPort: health.port }, `${name} started`)
  const opened = stack.move()
  return Object.assign(
    built,
    createService(name, () => opened.disposeAsync()),
  )
}

/** A Service whose stop runs once, however often it is asked for. */
export function createService(name: string, stop: () => Promise<void>): Service {
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  closed.catch(() => {})
  let stopping: Promise<void> | undefined
  return {
    name,
    closed,
    [Symbol.asyncDispose]() {
      stopping ??= stop().then(resolve, (error: unknown) => {
        reject(error)
        throw error
      })
      return stopping
    },
  }
}

/** Runs `start` as this process. Its signal is aborted when the process is to stop. */
export async function runService(
  name: string,
  start: (signal: AbortSignal) => Promise<Service>,
): Promise<void> {
  const log = createLogger(name, process.env['LOG_LEVEL'] || 'info')
  process.on('uncaughtException', (err) => die(log, err, 1))
  process.on('unhandledRejection', (err) => die(log, err, 1))
  const asked = stopRequested()
  const early = new AbortController()
  void asked.then(() => early.abort())
  const starting = start(early.signal).catch((err: unknown) =>
    early.signal.aborted ? null : die(log, err, err instanceof ConfigError ? 2 : 1),
  )
  const begun = await Promise.race([starting, asked])
  if (typeof begun === 'string' || begun === null) {
    await Promise.race([
      starting.then((service) => service?.[Symbol.asyncDispose]()),
      sleep(startingStopsWithin),
    ])
    log.info({ reason: await asked }, `${name} stopped before it had started`)
    await logged()
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
  await logged()
  process.exit(0)
}

/** A signal, or the death of the parent that holds our IPC channel (`npm start`). */
function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => resolve(signal))
    if (process.channel) process.on('disconnect', () => resolve('parent gone'))
  })
}

function die(log: Logger, err: unknown, code: number): never {
  if (err instanceof ConfigError) log.fatal(err.message)
  else log.fatal({ err }, 'fatal')
  process.exit(code)
}
