/**
 * The public events as a gateway needs them: every one from now on, and replay after an id. Ids are
 * `<generation>-<sequence>` of stream VIDEO; an id of another generation is not known any more.
 *
 * The stream may be made anew, or go back (a power failure, an older copy of the store) and grow
 * again, also past where this feed was. A stream only ever loses its end: as long as the message
 * delivered last is still in its place, so is everything before it. That is looked at whenever the
 * feed is opened again, and after every reconnect it is; where it does not hold, or cannot be told,
 * whoever listens is told to begin anew.
 */
import { DeliverPolicy, NatsError, type JsMsg } from 'nats'
import { bootMs, sleep, systemClock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { NatsBus } from './connect.ts'
import { endWhenLost, replayAfter, toFeedEvent, type FeedEvent } from './replay.ts'
import { streams } from './streams.ts'
import { generationOf } from './topology.ts'

export interface EventFeed extends AsyncDisposable {
  readonly generation: number
  /** Of the newest event delivered. */
  lastSequence(): number
  subscribe(listener: (event: FeedEvent) => void): () => void
  /** Events after `afterId`; null when that id cannot be known any more. */
  replay(afterId: string, signal: AbortSignal): Promise<AsyncIterable<FeedEvent> | null>
  /**
   * Calls back when the store was made anew or has gone back: events may have been lost with it.
   * Tells since how many ms none were heard.
   */
  onReset(listener: (deafMs: number) => void): void
  isHealthy(): boolean
}

/** JetStream's number for a sequence that holds nothing. */
const noMessageCode = 10037
const openAgainMs = 250

/** Follows the stream from `history` events before its newest one. */
export async function openEventFeed(bus: NatsBus, log: Logger, history = 0): Promise<EventFeed> {
  const stop = new AbortController()
  const resets: ((deafMs: number) => void)[] = []
  const listeners = new Set<(event: FeedEvent) => void>()
  let generation = await generationOf(bus, streams.video)
  let last = await startSequence(bus, history)
  let newest: JsMsg | undefined
  let deafSince = bootMs()
  let healthy = true
  let current: { stop(): void } | undefined
  // What comes after a reconnect may be of a stream that has gone back: it is looked at first.
  bus.onReconnect(() => current?.stop())

  /** Where to go on; everybody begins anew where what was delivered last is not there any more. */
  const findPlace = async () => {
    const { generation: now, lastSequence } = await bus.stateOf(streams.video)
    if (now === generation && lastSequence >= last && (!newest || (await isThere(bus, newest))))
      return
    ;[generation, last] = [now, now === generation ? lastSequence : 0]
    newest = undefined
    for (const listener of resets) listener(bootMs() - deafSince)
  }
  const follow = async () => {
    await findPlace()
    const consumer = await bus.js.consumers.get(streams.video, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: last + 1,
    })
    const messages = await consumer.consume({
      max_messages: 1_000,
      idle_heartbeat: 2_000,
      expires: 30_000,
    })
    current = messages
    if (stop.signal.aborted) messages.stop()
    healthy = true
    endWhenLost(messages)
    for await (const message of messages) {
      last = message.seq
      newest = message
      const event = toFeedEvent(message, generation)
      if (!event) log.error({ sequence: last, subject: message.subject }, 'event does not fit')
      else for (const listener of listeners) listener(event)
    }
    deafSince = bootMs()
  }
  const lost = (err: unknown) => {
    if (healthy) log.warn({ err }, 'event feed lost, opening it again')
    healthy = false
  }
  const following = every(systemClock, openAgainMs, stop.signal, follow, lost, 0)

  return {
    get generation() {
      return generation
    },
    lastSequence: () => last,
    isHealthy: () => healthy && bus.isConnected(),
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    onReset: (listener) => void resets.push(listener),
    replay: (afterId, signal) => replayAfter(bus, generation, afterId, signal),
    async [Symbol.asyncDispose]() {
      stop.abort()
      current?.stop()
      await Promise.race([following, sleep(1_000)])
    },
  }
}

/**
 * Whether the stream still has this message in its place: the same event, stored at the same
 * moment.
 */
async function isThere(bus: NatsBus, { seq, headers, info }: JsMsg): Promise<boolean> {
  try {
    const stored = await (await bus.manager()).streams.getMessage(streams.video, { seq })
    return (
      stored.header?.get('ce-id') === headers?.get('ce-id') &&
      stored.time.getTime() === Math.floor(info.timestampNanos / 1e6)
    )
  } catch (err) {
    if (err instanceof NatsError && err.api_error?.err_code === noMessageCode) return false
    throw err
  }
}

async function startSequence(bus: NatsBus, history: number): Promise<number> {
  const manager = await bus.manager()
  try {
    const { state } = await manager.streams.info(streams.video)
    return Math.max(state.first_seq - 1, state.last_seq - history, 0)
  } catch (err) {
    if (err instanceof NatsError) return 0
    throw err
  }
}
