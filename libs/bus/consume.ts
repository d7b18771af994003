/**
 * Takes jobs from a durable consumer, one after another, and opens it again whenever it ends: also
 * when the server, the consumer or the whole stream was lost.
 */
import type { ConsumerMessages, JetStreamClient, JsMsg, MsgHdrs } from 'nats'
import { sleep, systemClock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Consuming, Job } from './bus.ts'
import { tell } from './link.ts'

/** Between two tries to open a consumer. */
const openAgainMs = 250
/**
 * A lost connection is found by its pings, a consumer that was deleted by the server's word. Only a
 * pull that the server forgot is found by missed heartbeats, after two.
 */
const heartbeatMs = 4_000

const reader = (head: MsgHdrs | undefined) => (name: string) => head?.get(name) || undefined

const toJob = (message: JsMsg): Job => ({
  subject: message.subject,
  sequence: message.seq,
  data: message.data,
  deliveries: message.info.deliveryCount,
  header: reader(message.headers),
  ack: () => tell(() => message.ack()),
  // the server takes a delay that is no whole number of nanoseconds for none at all
  // rule: delays are whole milliseconds
  nak: (ms) => tell(() => message.nak(Math.ceil(ms))),
  term: () => tell(() => message.term()),
  working: () => tell(() => message.working()),
})

/** Opens the consumer again whenever it ends. */
export function consumeLoop(
  js: JetStreamClient,
  options: { stream: string; consumer: string; maxMessages: number; log: Logger },
  onMessage: (job: Job) => Promise<void>,
): Consuming {
  const { stream, consumer: name, maxMessages, log } = options
  const stop = new AbortController()
  let current: ConsumerMessages | undefined
  let healthy = false
  const take = async () => {
    try {
      const consumer = await js.consumers.get(stream, name)
      current = await consumer.consume({
        max_messages: maxMessages,
        idle_heartbeat: heartbeatMs,
        expires: 30_000,
        threshold_messages: Math.max(1, Math.floor(maxMessages / 2)),
      })
      watchForLoss(current)
      healthy = true
      if (stop.signal.aborted) current.stop()
      for await (const message of current) {
        if (stop.signal.aborted) message.nak()
        else await onMessage(toJob(message))
      }
    } finally {
      healthy = false
    }
  }
  const lost = (err: unknown) =>
    log.warn({ err, consumer: name }, 'consumer lost, opening it again')
  const done = every(systemClock, openAgainMs, stop.signal, take, lost, 0)
  return {
    isHealthy: () => healthy,
    async [Symbol.asyncDispose]() {
      stop.abort()
      current?.stop()
      await Promise.race([done, sleep(2_000)])
    },
  }
}

/** Ends an iteration that the server will not feed any more, so that the loop opens it again. */
function watchForLoss(messages: ConsumerMessages): void {
  void (async () => {
    for await (const status of await messages.status()) {
      const missed = status.type === 'heartbeats_missed' && Number(status.data) >= 2
      if (
        missed ||
        status.type === 'consumer_deleted' ||
        status.type === 'consumer_not_found' ||
        status.type === 'stream_not_found'
      )
        messages.stop()
    }
  })().catch(() => {})
}
