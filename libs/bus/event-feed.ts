/**
 * The public events as a gateway needs them: every one from now on, and replay after an id.
 * Ids are `<generation>-<sequence>` of stream VIDEO; an id of another generation is not known any more.
 */
import { DeliverPolicy, NatsError, type JsMsg } from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { videoEventSchema, type VideoEvent } from '#libs/scene-video/messages.ts'
import type { EventName } from '#libs/scene-video/scene-video.ts'
import type { NatsBus } from './connect.ts'
import { generationOf, streams } from './topology.ts'

export interface FeedEvent {
  id: string
  sequence: number
  event: EventName
  video: VideoEvent
}

export interface EventFeed extends AsyncDisposable {
  readonly generation: number
  /** Of the newest event delivered. */
  lastSequence(): number
  subscribe(listener: (event: FeedEvent) => void): () => void
  /** Events after `afterId`; null when that id cannot be known any more. */
  replay(afterId: string, signal: AbortSignal): Promise<AsyncIterable<FeedEvent> | null>
  /** Calls back when the store was made anew: events may have been lost with the old one. */
  onReset(listener: () => void): void
  isHealthy(): boolean
}

/** Follows the stream from `history` events before its newest one. */
export async function openEventFeed(bus: NatsBus, log: Logger, history = 0): Promise<EventFeed> {
  const stop = new AbortController()
  const resets: (() => void)[] = []
  const listeners = new Set<(event: FeedEvent) => void>()
  let generation = await generationOf(bus, streams.video)
  let last = await startSequence(bus, history)
  let healthy = true
  let current: { stop(): void } | undefined

  const follow = async () => {
    while (!stop.signal.aborted) {
      try {
        const { generation: now, lastSequence } = await bus.stateOf(streams.video)
        // Made anew, or gone back in a power failure: what was delivered last may not be there any more.
        if (now !== generation || lastSequence < last) {
          ;[generation, last] = [now, now === generation ? lastSequence : 0]
          for (const listener of resets) listener()
        }
        const consumer = await bus.js.consumers.get(streams.video, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: last + 1 })
        const messages = await consumer.consume({ max_messages: 1_000, idle_heartbeat: 1_000, expires: 10_000 })
        current = messages
        healthy = true
        void (async () => {
          for await (const status of await messages.status()) {
            if (status.type === 'heartbeats_missed' || status.type === 'stream_not_found') messages.stop()
          }
        })().catch(() => {})
        for await (const message of messages) {
          last = message.seq
          const event = toFeedEvent(message, generation)
          if (event) for (const listener of listeners) listener(event)
        }
      } catch (err) {
        healthy = false
        log.warn({ err: (err as Error).message }, 'event feed lost, opening it again')
      }
      await sleep(250, stop.signal)
    }
  }
  const following = follow()

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
    async replay(afterId, signal) {
      const match = /^(\d+)-(\d+)$/.exec(afterId)
      if (!match || Number(match[1]) !== generation) return null
      const after = Number(match[2])
      const manager = await bus.manager()
      const { state } = await manager.streams.info(streams.video)
      if (after > state.last_seq || after + 1 < state.first_seq) return null
      return replayRange(bus, generation, after + 1, state.last_seq, signal)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      current?.stop()
      await Promise.race([following, sleep(1_000)])
    },
  }
}

async function* replayRange(bus: NatsBus, generation: number, from: number, to: number, signal: AbortSignal): AsyncIterable<FeedEvent> {
  if (from > to) return
  const consumer = await bus.js.consumers.get(streams.video, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from })
  const messages = await consumer.consume({ max_messages: 500 })
  try {
    for await (const message of messages) {
      const event = toFeedEvent(message, generation)
      if (event) yield event
      if (message.seq >= to || signal.aborted) return
    }
  } finally {
    messages.stop()
    await consumer.delete().catch(() => {})
  }
}

function toFeedEvent(message: JsMsg, generation: number): FeedEvent | null {
  const parsed = videoEventSchema.safeParse(readJson(message))
  if (!parsed.success) return null
  return { id: `${generation}-${message.seq}`, sequence: message.seq, event: message.subject.split('.')[1] as EventName, video: parsed.data }
}

/** Undefined where somebody put something else than JSON: it fits no schema. */
function readJson(message: JsMsg): unknown {
  try {
    return message.json()
  } catch {
    return undefined
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
