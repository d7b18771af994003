/**
 * Work queues, and the one policy for what becomes of a message: handled → ack; `Later` thrown → redelivered after its delay;
 * does not fit its schema → dead-lettered with the reason; any other error → redelivered with backoff.
 */
import { headers, NatsError, type ConsumerMessages, type JsMsg } from 'nats'
import type { z } from 'zod'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Bus } from './connect.ts'

/** Thrown by a handler: not now, deliver again after `ms`. */
export class Later extends Error {
  readonly ms: number
  constructor(ms: number) {
    super(`again in ${Math.round(ms)} ms`)
    this.ms = ms
  }
}

const alreadyQueued = 10077
const backoff = (deliveries: number) => Math.min(30_000, 500 * 2 ** Math.min(deliveries - 1, 6))

/** Queues one job for a video. False when one of the same kind is queued or in hand already. */
export async function publishWork(bus: Bus, subject: string, body: unknown): Promise<boolean> {
  try {
    await bus.js.publish(subject, JSON.stringify(body))
    return true
  } catch (err) {
    if (err instanceof NatsError && err.api_error?.err_code === alreadyQueued) return false
    throw err
  }
}

export interface Consuming extends AsyncDisposable {
  isHealthy(): boolean
}

export interface Delivery<T> {
  body: T
  message: JsMsg
}

/**
 * Consumes a durable consumer, up to `concurrency` messages at once, each kept in progress while its handler runs.
 * Survives the loss of the server and of the stream. Disposing stops taking and waits for the handlers in hand.
 */
export function consumeWork<T>(
  bus: Bus,
  options: { stream: string; consumer: string; schema: z.ZodType<T>; concurrency: number; log: Logger },
  handle: (body: T) => Promise<void>,
): Consuming {
  const running = new Set<Promise<void>>()
  return consumeLoop(bus, { ...options, maxMessages: options.concurrency }, async (message) => {
    const body = await decodeOrBury(bus, message, options.schema, options.log)
    if (body === undefined) return
    const work = runOne(message, () => handle(body), options.log).finally(() => running.delete(work))
    running.add(work)
    if (running.size >= options.concurrency) await Promise.race(running)
  }, () => Promise.allSettled(running).then(() => {}))
}

async function runOne(message: JsMsg, handle: () => Promise<void>, log: Logger): Promise<void> {
  const beat = setInterval(() => message.working(), 5_000)
  try {
    await handle()
    message.ack()
  } catch (err) {
    if (err instanceof Later) return message.nak(err.ms)
    log.error({ err, subject: message.subject }, 'work failed, will be tried again')
    message.nak(backoff(message.info.deliveryCount))
  } finally {
    clearInterval(beat)
  }
}

/** The parsed body; undefined after a body that does not fit went to the dead-letter stream. */
export async function decodeOrBury<T>(bus: Bus, message: JsMsg, schema: z.ZodType<T>, log: Logger): Promise<T | undefined> {
  let reason: string
  try {
    const parsed = schema.safeParse(message.json())
    if (parsed.success) return parsed.data
    reason = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
  } catch {
    reason = 'not JSON'
  }
  await bury(bus, message, reason, log)
  return undefined
}

/** Moves a message nobody can handle to the dead-letter stream, with its subject and reason. */
export async function bury(bus: Bus, message: JsMsg, reason: string, log: Logger): Promise<void> {
  const head = headers()
  head.set('Reelkeeper-Subject', message.subject)
  head.set('Reelkeeper-Reason', reason.slice(0, 1000).replaceAll(/[\r\n]/g, ' '))
  const [, kind = 'unknown'] = message.subject.split('.')
  try {
    await bus.js.publish(`video.dead.${kind}.${message.seq}`, message.data, { headers: head })
    log.error({ subject: message.subject, reason }, 'message dead-lettered')
    message.term()
  } catch (err) {
    log.error({ err, subject: message.subject }, 'dead-lettering failed')
    message.nak(5_000)
  }
}

/** Runs `onMessage` for each message in turn, opening the consumer again whenever it ends. */
export function consumeLoop(
  bus: Bus,
  options: { stream: string; consumer: string; maxMessages: number; log: Logger },
  onMessage: (message: JsMsg) => Promise<void>,
  settle: () => Promise<void> = () => Promise.resolve(),
): Consuming {
  const stop = new AbortController()
  let current: ConsumerMessages | undefined
  let healthy = false
  const run = async () => {
    while (!stop.signal.aborted) {
      try {
        const consumer = await bus.js.consumers.get(options.stream, options.consumer)
        current = await consumer.consume({ max_messages: options.maxMessages, idle_heartbeat: 2_000, expires: 10_000, threshold_messages: Math.max(1, Math.floor(options.maxMessages / 2)) })
        watchForLoss(current)
        healthy = true
        if (stop.signal.aborted) break
        for await (const message of current) {
          if (stop.signal.aborted) message.nak()
          else await onMessage(message)
        }
      } catch (err) {
        options.log.warn({ err: (err as Error).message, consumer: options.consumer }, 'consumer lost, opening it again')
      }
      healthy = false
      await sleep(250, stop.signal)
    }
  }
  const done = run()
  return {
    isHealthy: () => healthy,
    async [Symbol.asyncDispose]() {
      stop.abort()
      current?.stop()
      await Promise.race([done, sleep(2_000)])
      await settle()
    },
  }
}

/** Ends an iteration that the server will not feed any more, so that the loop opens it again. */
function watchForLoss(messages: ConsumerMessages): void {
  void (async () => {
    for await (const status of await messages.status()) {
      const missed = status.type === 'heartbeats_missed' && Number(status.data) >= 2
      if (missed || status.type === 'consumer_deleted' || status.type === 'consumer_not_found' || status.type === 'stream_not_found') messages.stop()
    }
  })().catch(() => {})
}
