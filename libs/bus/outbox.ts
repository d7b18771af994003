/**
 * Publishes committed events, each once and in version order per video, however many publishers try.
 *
 * An event goes to `video.out.<event>.<id>` under the sequence of that video's previous event. A conflict means that
 * somebody else published it, or that an earlier try of ours landed after all: the last stored event tells which. Rows
 * stay owed until marked, so a crash at any point publishes again and is refused, never lost.
 */
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { eventSubject, outSubject, type VideoEvent } from '#libs/scene-video/messages.ts'
import { Conflict, type Bus } from './bus.ts'
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
      const expect = { sequence: last.sequence, subject: outSubject('*', event.body.id) }
      const sequence = await bus.store(outSubject(event.event, event.body.id), JSON.stringify(event.body), { headers: eventHeaders(event), expect })
      return { sequence, version: event.body.version }
    } catch (err) {
      if (!(err instanceof Conflict)) throw err
    }
    last = await lastPublished(bus, event.body.id)
  }
  throw new Error(`event ${event.body.id}:${event.body.version} keeps conflicting`)
}

async function lastPublished(bus: Bus, id: string): Promise<Published> {
  const message = await bus.newest(streams.outbox, outSubject('*', id))
  return message ? { sequence: message.sequence, version: Number(message.header('ce-id')?.split(':')[1]) } : { sequence: 0, version: 0 }
}

function eventHeaders({ event, at, body }: OwedEvent): Record<string, string> {
  return {
    'ce-specversion': '1.0',
    'ce-id': `${body.id}:${body.version}`,
    'ce-type': `reelkeeper.${eventSubject(event)}.v1`,
    'ce-source': '/reelkeeper',
    'ce-subject': body.id,
    'ce-time': at,
    'content-type': 'application/json',
    traceparent: `00-${body.id.replaceAll('-', '')}-${body.version.toString(16).padStart(16, '0')}-01`,
  }
}
