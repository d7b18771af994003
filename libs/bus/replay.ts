/** Events of stream VIDEO between two sequences, as they were stored. */
import { DeliverPolicy, type ConsumerMessages, type JsMsg } from 'nats'
import { videoEventSchema, type VideoEvent } from '#libs/scene-video/messages.ts'
import type { EventName } from '#libs/scene-video/scene-video.ts'
import { BusUnavailable } from './bus.ts'
import type { NatsBus } from './connect.ts'
import { streams } from './streams.ts'

export interface FeedEvent {
  id: string
  sequence: number
  event: EventName
  video: VideoEvent
}

/**
 * What came after `afterId`, up to now; null when that id cannot be known any more. Its iteration
 * throws BusUnavailable when the stream falls silent before its end.
 */
export async function replayAfter(
  bus: NatsBus,
  generation: number,
  afterId: string,
  signal: AbortSignal,
): Promise<AsyncIterable<FeedEvent> | null> {
  const match = /^(\d+)-(\d+)$/.exec(afterId)
  if (!match || Number(match[1]) !== generation) return null
  const after = Number(match[2])
  const manager = await bus.manager()
  const { state } = await manager.streams.info(streams.video)
  if (after > state.last_seq || after + 1 < state.first_seq) return null
  return replayRange(bus, generation, after + 1, state.last_seq, signal)
}

/** @throws BusUnavailable when the stream falls silent before its end */
async function* replayRange(
  bus: NatsBus,
  generation: number,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncIterable<FeedEvent> {
  if (from > to) return
  const consumer = await bus.js.consumers.get(streams.video, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
  })
  const messages = await consumer.consume({
    max_messages: 500,
    idle_heartbeat: 1_000,
    expires: 10_000,
  })
  const end = () => messages.stop()
  signal.addEventListener('abort', end, { once: true })
  endWhenLost(messages)
  try {
    for await (const message of messages) {
      const event = toFeedEvent(message, generation)
      if (event) yield event
      if (message.seq >= to || message.info.pending === 0 || signal.aborted) return
    }
    if (!signal.aborted) throw new BusUnavailable('a replay was broken off')
  } finally {
    signal.removeEventListener('abort', end)
    messages.stop()
    await consumer.delete().catch(() => {})
  }
}

/**
 * Ends an iteration that the server will not feed any more: an ordered consumer would be made again
 * by itself, and nobody would look where it goes on.
 */
export function endWhenLost(messages: ConsumerMessages): void {
  void (async () => {
    for await (const { type } of await messages.status()) {
      if (
        type === 'heartbeats_missed' ||
        type === 'stream_not_found' ||
        type === 'consumer_not_found' ||
        type === 'consumer_deleted'
      )
        messages.stop()
    }
  })().catch(() => {})
}

export function toFeedEvent(message: JsMsg, generation: number): FeedEvent | null {
  const parsed = videoEventSchema.safeParse(readJson(message))
  if (!parsed.success) return null
  return {
    id: `${generation}-${message.seq}`,
    sequence: message.seq,
    event: message.subject.split('.')[1] as EventName,
    video: parsed.data,
  }
}

/** Undefined where somebody put something else than JSON: it fits no schema. */
function readJson(message: JsMsg): unknown {
  try {
    return message.json()
  } catch {
    return undefined
  }
}
