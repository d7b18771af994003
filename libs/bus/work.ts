/**
 * Work queues, and the one policy for what becomes of a message: handled → ack; `Snooze` thrown →
 * redelivered after its delay; does not fit its schema, or names another video than its subject →
 * dead-lettered with the reason; any other error → redelivered with backoff, and dead-lettered
 * after `tries` in a row. What an outage of the broker or of Postgres causes never counts as a try.
 */
import type { z } from 'zod'
import { backoffMs } from '#libs/runtime/backoff.ts'
import { systemClock, type Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import { AlreadyQueued, jsonOf, type Bus, type Consuming, type Job } from './bus.ts'
import { deadHeaders } from './dead-letters.ts'
import { isNewer, leftAgainMs, leftAtMost, versioned } from './version.ts'

/** Thrown by a handler: not now, deliver again after `ms` (rounded up to whole milliseconds). */
export class Snooze extends Error {
  readonly ms: number
  constructor(ms: number) {
    super(`again in ${Math.ceil(ms)} ms`)
    this.ms = Math.ceil(ms)
  }
}

/** About three minutes of backoff. */
const maxFailures = 12
/** What a dead letter keeps of a body: it must fit a message together with its headers. */
const maxBodyBytes = 900_000
const retries = { firstMs: 500, maxMs: 30_000 }
const beatMs = 5_000

/** Queues one job for a video. False when one of the same kind is queued or in hand already. */
export async function publishWork(bus: Bus, subject: string, body: unknown): Promise<boolean> {
  try {
    await bus.store(subject, versioned(body))
    return true
  } catch (err) {
    if (err instanceof AlreadyQueued) return false
    throw err
  }
}

export interface WorkOptions<T> {
  stream: string
  consumer: string
  schema: z.ZodType<T>
  concurrency: number
  log: Logger
  clock?: Clock
  dead?: DeadLetterCounter
  /** Whether a handler's error says that something it needs is away, and nothing of the message. */
  isOutage?(err: unknown): boolean
  tries?: number
}

/** Counts messages that were dead-lettered, by the kind in their subject. */
export type DeadLetterCounter = CounterLike<'kind'>

export interface DeadLetterDeps {
  bus: Bus
  log: Logger
  dead?: DeadLetterCounter | undefined
}

const brokerErrors = new Set([
  'BusUnavailable',
  'NatsError',
  'StoreRefused',
  'Conflict',
  'AlreadyQueued',
])

/**
 * Consumes a durable consumer, up to `concurrency` messages at once, each kept in progress while
 * its handler runs. Disposing stops taking and waits for the handlers in hand.
 */
export function consumeWork<T>(
  bus: Bus,
  options: WorkOptions<T>,
  handle: (body: T) => Promise<void>,
): Consuming {
  const { stream, consumer, schema, concurrency, log, dead } = options
  const running = new Set<Promise<void>>()
  const failures = new Map<string, number>()
  const consuming = bus.consume(stream, consumer, concurrency, async (job) => {
    const body = await parseOrDeadLetter({ bus, log, dead }, job, schema)
    if (body === undefined) return
    const work = runOne(bus, options, job, failures, () => handle(body)).finally(() =>
      running.delete(work),
    )
    running.add(work)
    if (running.size >= concurrency) await Promise.race(running)
  })
  return {
    isHealthy: () => consuming.isHealthy(),
    async [Symbol.asyncDispose]() {
      await consuming[Symbol.asyncDispose]()
      await Promise.allSettled(running)
    },
  }
}

async function runOne<T>(
  bus: Bus,
  options: WorkOptions<T>,
  job: Job,
  failures: Map<string, number>,
  handle: () => Promise<void>,
): Promise<void> {
  const { log, dead, clock = systemClock, isOutage = () => false, tries = maxFailures } = options
  let cancel = () => {}
  const beat = () =>
    (cancel = clock.after(beatMs, () => {
      job.working()
      beat()
    }))
  beat()
  try {
    await handle()
    failures.delete(job.subject)
    job.ack()
  } catch (err) {
    if (err instanceof Snooze) {
      failures.delete(job.subject)
      return job.nak(err.ms)
    }
    const isTheirs = brokerErrors.has((err as Error).name) || isOutage(err)
    const failed = (failures.get(job.subject) ?? 0) + (isTheirs ? 0 : 1)
    failures.set(job.subject, failed)
    if (failed >= tries) {
      failures.delete(job.subject)
      return await deadLetter(
        { bus, log, dead },
        job,
        `failed ${failed} times: ${(err as Error).message}`,
      )
    }
    log.error({ err, subject: job.subject }, 'work failed, will be tried again')
    job.nak(backoffMs(isTheirs ? job.deliveries : failed, retries))
  } finally {
    cancel()
  }
}

/**
 * The parsed body; undefined after a body that does not fit went to the dead-letter stream, or was
 * left to a newer process.
 */
export async function parseOrDeadLetter<T>(
  undertaker: DeadLetterDeps,
  job: Job,
  schema: z.ZodType<T>,
): Promise<T | undefined> {
  let reason: string
  try {
    const body = jsonOf(job)
    const parsed = schema.safeParse(body)
    const named = (parsed.data as { id?: unknown } | undefined)?.id
    if (parsed.success && (named === undefined || job.subject.endsWith(`.${String(named)}`)))
      return parsed.data
    // rule: what a newer process said is left to a newer one
    if (isNewer(body) && job.deliveries <= leftAtMost) {
      job.nak(leftAgainMs)
      return undefined
    }
    reason = parsed.success
      ? `its subject names another video than its body: ${String(named)}`
      : parsed.error.issues.map((one) => `${one.path.join('.')}: ${one.message}`).join('; ')
  } catch {
    reason = 'not JSON'
  }
  await deadLetter(undertaker, job, reason)
  return undefined
}

/** Moves a message nobody can handle to the dead-letter stream, with its subject and reason. */
export async function deadLetter(
  { bus, log, dead }: DeadLetterDeps,
  job: Job,
  reason: string,
): Promise<void> {
  const headers = {
    [deadHeaders.subject]: job.subject,
    [deadHeaders.reason]: reason
      .slice(0, 1000)
      .toWellFormed()
      .replaceAll(/\p{Cc}/gu, ' '),
    ...(job.data.length > maxBodyBytes ? { [deadHeaders.truncated]: String(job.data.length) } : {}),
  }
  const tokens = job.subject.split('.')
  const kind = tokens.slice(1, -1).join('-')
  try {
    await bus.store(`video.dead.${kind}.${tokens.at(-1)}`, job.data.subarray(0, maxBodyBytes), {
      headers,
    })
    log.error({ subject: job.subject, reason: reason.slice(0, 1000) }, 'message dead-lettered')
    dead?.inc({ kind })
    job.term()
  } catch (err) {
    log.error({ err, subject: job.subject }, 'dead-lettering failed')
    job.nak(5_000)
  }
}
