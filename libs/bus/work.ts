/**
 * Work queues, and the one policy for what becomes of a message: handled → ack; `Later` thrown → redelivered after its delay;
 * does not fit its schema → dead-lettered with the reason; any other error → redelivered with backoff.
 */
import type { z } from 'zod'
import { systemClock, type Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { AlreadyQueued, jsonOf, type Bus, type Consuming, type Job } from './bus.ts'

/** Thrown by a handler: not now, deliver again after `ms`. */
export class Later extends Error {
  readonly ms: number
  constructor(ms: number) {
    super(`again in ${Math.round(ms)} ms`)
    this.ms = ms
  }
}

const backoff = (deliveries: number) => Math.min(30_000, 500 * 2 ** Math.min(deliveries - 1, 6))
const beatMs = 5_000

/** Queues one job for a video. False when one of the same kind is queued or in hand already. */
export async function publishWork(bus: Bus, subject: string, body: unknown): Promise<boolean> {
  try {
    await bus.store(subject, JSON.stringify(body))
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
}

/**
 * Consumes a durable consumer, up to `concurrency` messages at once, each kept in progress while its handler runs.
 * Disposing stops taking and waits for the handlers in hand.
 */
export function consumeWork<T>(bus: Bus, options: WorkOptions<T>, handle: (body: T) => Promise<void>): Consuming {
  const { stream, consumer, schema, concurrency, log, clock = systemClock } = options
  const running = new Set<Promise<void>>()
  const consuming = bus.consume(stream, consumer, concurrency, async (job) => {
    const body = await decodeOrBury(bus, job, schema, log)
    if (body === undefined) return
    const work = runOne(job, () => handle(body), log, clock).finally(() => running.delete(work))
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

async function runOne(job: Job, handle: () => Promise<void>, log: Logger, clock: Clock): Promise<void> {
  let cancel = () => {}
  const beat = () => (cancel = clock.after(beatMs, () => {
    job.working()
    beat()
  }))
  beat()
  try {
    await handle()
    job.ack()
  } catch (err) {
    if (err instanceof Later) return job.nak(err.ms)
    log.error({ err, subject: job.subject }, 'work failed, will be tried again')
    job.nak(backoff(job.deliveries))
  } finally {
    cancel()
  }
}

/** The parsed body; undefined after a body that does not fit went to the dead-letter stream. */
export async function decodeOrBury<T>(bus: Bus, job: Job, schema: z.ZodType<T>, log: Logger): Promise<T | undefined> {
  let reason: string
  try {
    const parsed = schema.safeParse(jsonOf(job))
    if (parsed.success) return parsed.data
    reason = parsed.error.issues.map((one) => `${one.path.join('.')}: ${one.message}`).join('; ')
  } catch {
    reason = 'not JSON'
  }
  await bury(bus, job, reason, log)
  return undefined
}

/** Moves a message nobody can handle to the dead-letter stream, with its subject and reason. */
export async function bury(bus: Bus, job: Job, reason: string, log: Logger): Promise<void> {
  const headers = { 'Reelkeeper-Subject': job.subject, 'Reelkeeper-Reason': reason.slice(0, 1000).replaceAll(/[\r\n]/g, ' ') }
  const [, kind = 'unknown'] = job.subject.split('.')
  try {
    await bus.store(`video.dead.${kind}.${job.sequence}`, job.data, { headers })
    log.error({ subject: job.subject, reason }, 'message dead-lettered')
    job.term()
  } catch (err) {
    log.error({ err, subject: job.subject }, 'dead-lettering failed')
    job.nak(5_000)
  }
}
