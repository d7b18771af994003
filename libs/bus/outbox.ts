/**
 * Publishes committed events, each once and in version order per video, however many publishers try.
 *
 * An event goes to `video.out.<event>.<id>` under the sequence of that video's previous event. A conflict means that
 * somebody else published it, or that an earlier try of ours landed after all: the last stored event tells which. Rows
 * stay owed until marked, so a crash at any point publishes again and is refused, never lost.
 */
import { headers, NatsError } from 'nats'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { eventSubject, outSubject, type VideoEvent } from '#libs/scene-video/messages.ts'
import type { Bus } from './connect.ts'
import { streams } from './topology.ts'

export interface OwedEvent {
  timelineId: bigint
  event: string
  /** ISO 8601, of the commit. */
  at: string
  body: VideoEvent
}

export interface OutboxStore {
  /** Owed events in version order per video; of these videos, or of any (oldest first). */
  owed(videoIds: string[] | null, limit: number): Promise<OwedEvent[]>
  markPublished(timelineIds: bigint[]): Promise<void>
}

const conflictCodes = new Set([10071, 10164])
const batch = 1_000

/** Publishes what is owed, of some videos or of all; returns how many events. */
export async function publishOwed(bus: Bus, store: OutboxStore, videoIds: string[] | null): Promise<number> {
  const rows = await store.owed(videoIds, batch)
  if (rows.length) crashPoint('before-publish')
  const byVideo = Map.groupBy(rows, (row) => row.body.id)
  const results = await Promise.allSettled([...byVideo.values()].map((events) => publishInOrder(bus, events)))
  const published = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
  if (published.length) {
    crashPoint('before-mark')
    await store.markPublished(published)
  }
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return published.length
}

async function publishInOrder(bus: Bus, events: OwedEvent[]): Promise<bigint[]> {
  const done: bigint[] = []
  const first = events[0]!.body
  let last: Published = first.version > 1 ? await lastPublished(bus, first.id) : { sequence: 0, version: 0 }
  for (const event of events) {
    if (event !== events[0]) crashPoint('mid-publish')
    last = await publishOnce(bus, event, last)
    done.push(event.timelineId)
  }
  return done
}

interface Published {
  sequence: number
  version: number
}

/** This video's newest event once `event` is stored. An event at or below the newest is stored already. */
async function publishOnce(bus: Bus, event: OwedEvent, last: Published): Promise<Published> {
  for (let tries = 0; tries < 5; tries++) {
    if (last.version >= event.body.version) return last
    try {
      const ack = await bus.js.publish(outSubject(event.event, event.body.id), JSON.stringify(event.body), { headers: eventHeaders(event, last.sequence) })
      return { sequence: ack.seq, version: event.body.version }
    } catch (err) {
      if (!(err instanceof NatsError && conflictCodes.has(err.api_error?.err_code ?? 0))) throw err
    }
    last = await lastPublished(bus, event.body.id)
  }
  throw new Error(`event ${event.body.id}:${event.body.version} keeps conflicting`)
}

async function lastPublished(bus: Bus, id: string): Promise<Published> {
  const manager = await bus.manager()
  try {
    const message = await manager.streams.getMessage(streams.outbox, { last_by_subj: outSubject('*', id) })
    return { sequence: message.seq, version: Number(message.header.get('ce-id').split(':')[1]) }
  } catch (err) {
    if (err instanceof NatsError && err.api_error?.err_code === 10037) return { sequence: 0, version: 0 }
    throw err
  }
}

function eventHeaders({ event, at, body }: OwedEvent, expected: number) {
  const head = headers()
  head.set('Nats-Expected-Last-Subject-Sequence', String(expected))
  head.set('Nats-Expected-Last-Subject-Sequence-Subject', outSubject('*', body.id))
  head.set('ce-specversion', '1.0')
  head.set('ce-id', `${body.id}:${body.version}`)
  head.set('ce-type', `reelkeeper.${eventSubject(event)}.v1`)
  head.set('ce-source', '/reelkeeper')
  head.set('ce-subject', body.id)
  head.set('ce-time', at)
  head.set('content-type', 'application/json')
  head.set('traceparent', `00-${body.id.replaceAll('-', '')}-${body.version.toString(16).padStart(16, '0')}-01`)
  return head
}
