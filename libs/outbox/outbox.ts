/**
 * Publishes committed events, each once and in version order per video, however many publishers
 * try.
 *
 * An event goes to `video.out.<event>.<id>` by compare-and-set: the sequence of that video's
 * previous event is the expected last one. A conflict means that somebody else published it, or
 * that an earlier try of ours landed after all: the last stored event tells which. A row is owed,
 * that is unpublished, until it is marked. So a crash at any point publishes again and is refused,
 * never lost.
 *
 * A marked row remembers a sequence of the stream. NATS acknowledges before it has written to disk
 * for good, so a power failure may take acknowledged events with it. So after every outage the
 * newest rows are compared with the stream, and what it has lost is owed again. Before an event
 * that would leave a gap, the missing versions that this incarnation of the stream had are
 * published.
 */
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import { eventSubject, outSubject, type OwedEvent } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { Conflict, type Bus, type StreamState } from '#libs/bus/bus.ts'
import { streams } from '#libs/bus/streams.ts'
import { firstSequence as firstOf } from '#libs/bus/stream-configs.ts'
import type { LastPublishedCache, StreamHead } from './last-published.ts'

export interface OutboxStore {
  /** Owed events in version order per video; of these videos, or of any (oldest first). */
  owed(videoIds: string[] | null, limit: number): Promise<OwedEvent[]>
  /**
   * A video's events above one version and below another that were stored at a sequence of at least
   * `since`, or are owed.
   */
  eventsBetween(videoId: string, above: number, below: number, since: number): Promise<OwedEvent[]>
  markPublished(published: PublishedEvent[]): Promise<void>
}

/** Stored at that sequence of OUTBOX, or below. */
export interface PublishedEvent {
  timelineId: bigint
  sequence: number
}

const batch = 1_000

/** Publishes what is owed, of some videos or of all; returns how many events. */
export async function publishOwed(
  bus: Bus,
  store: OutboxStore,
  videoIds: string[] | null,
): Promise<number> {
  return publishEvents(bus, store, await store.owed(videoIds, batch))
}

/**
 * Publishes committed events, in version order per video, and what of these videos is owed before
 * them; returns how many.
 */
export async function publishEvents(
  bus: Bus,
  store: OutboxStore,
  events: OwedEvent[],
  cache?: LastPublishedCache,
): Promise<number> {
  // rule: an event is marked after it is published
  if (events.length) crashPoint('before-publish')
  let begins: Promise<number> | undefined
  const publisher = {
    bus,
    store,
    cache,
    streamBegins: () => (begins ??= bus.stateOf(streams.outbox).then(keptFrom)),
  }
  const byVideo = Map.groupBy(events, (event) => event.body.id)
  const results = await Promise.allSettled(
    [...byVideo.values()].map((some) => publishInOrder(publisher, some)),
  )
  const published = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []))
  if (published.length) {
    crashPoint('before-mark')
    await store.markPublished(published)
  }
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return published.length
}

interface Publisher {
  bus: Bus
  store: OutboxStore
  cache: LastPublishedCache | undefined
  streamBegins(): Promise<number>
}

async function publishInOrder(
  { bus, store, cache, streamBegins }: Publisher,
  events: OwedEvent[],
): Promise<PublishedEvent[]> {
  const done: PublishedEvent[] = []
  const first = events[0]!.body
  let last =
    cache?.take(events[0]!) ?? (first.version > 1 ? await lastPublished(bus, first.id) : nothing)
  for (const event of events) {
    const { version } = event.body
    // rule: missing versions are published before what follows them
    const lost =
      version > last.version + 1
        ? await store.eventsBetween(first.id, last.version, version, await streamBegins())
        : []
    for (const one of [...lost, event]) {
      if (one.body !== first) crashPoint('mid-publish')
      last = await publishOnce(bus, one, last)
      done.push({ timelineId: one.timelineId, sequence: last.sequence })
    }
  }
  // after the end there is nothing more to publish, but for a retry
  if (!isTerminal(events.at(-1)!.body.status)) cache?.keep(first.id, last)
  return done
}

/** What the repair of a stream that lost events asks Postgres; see above. */
export interface LossStore {
  /** The newest version of each video that was stored at a sequence above that. */
  newestStored(above: number): Promise<{ videoId: string; version: number }[]>
  /** Owes again what is above these versions and was stored at a sequence of at least `since`. */
  markUnpublishedAbove(lost: { videoId: string; version: number }[], since: number): Promise<void>
}

/**
 * So many sequences below the stream's end are compared, too: it may have lost some and grown again
 * before anybody looked.
 */
const auditWindow = 20_000
const concurrency = 200

/**
 * The first sequence that the stream should still hold: what is below was an earlier incarnation's,
 * or has expired.
 */
// rule: lost is only what the stream should hold
const keptFrom = ({ generation, firstSequence }: StreamState): number =>
  Math.max(firstOf(generation), firstSequence)

/** Marks what the stream has lost as unpublished; returns how many videos had losses. */
export async function requeueLostEvents(bus: Bus, store: LossStore): Promise<number> {
  const state = await bus.stateOf(streams.outbox)
  const stored = await store.newestStored(
    Math.max(keptFrom(state) - 1, state.lastSequence - auditWindow),
  )
  const lost: { videoId: string; version: number }[] = []
  await eachLimited(stored, concurrency, async ({ videoId, version }) => {
    const have = (await lastPublished(bus, videoId)).version
    if (have < version) lost.push({ videoId, version: have })
  })
  // what expired while we looked is not lost either
  const from = lost.length ? keptFrom(await bus.stateOf(streams.outbox)) : 0
  if (lost.length) await store.markUnpublishedAbove(lost, Math.max(from, keptFrom(state)))
  return lost.length
}

const nothing: StreamHead = { sequence: 0, version: 0 }

/**
 * Stores `event` unless the stream has it; returns the video's newest event then. `last` is the
 * newest as far as known; an event at or below it is stored already.
 */
async function publishOnce(bus: Bus, event: OwedEvent, last: StreamHead): Promise<StreamHead> {
  for (let tries = 0; tries < 5; tries++) {
    // rule: nothing at or below the newest stored version is published
    if (last.version >= event.body.version) return last
    try {
      const expect = { sequence: last.sequence, subject: outSubject('*', event.body.id) }
      // rule: an event is stored under its video’s last sequence
      const sequence = await bus.store(
        outSubject(event.event, event.body.id),
        JSON.stringify(event.body),
        { headers: eventHeaders(event), expect },
      )
      return { sequence, version: event.body.version }
    } catch (err) {
      if (!(err instanceof Conflict)) throw err
    }
    const now = await lastPublished(bus, event.body.id)
    // rule: nothing is published when the stream has gone back
    if (now.version < last.version)
      throw new Error(
        `the stream has gone back from version ${last.version} of ${event.body.id} to ${now.version}`,
      )
    last = now
  }
  throw new Error(`event ${event.body.id}:${event.body.version} keeps conflicting`)
}

/** The newest version of each video in the stream; for the repair after a restore of Postgres. */
export async function newestPublished(bus: Bus): Promise<{ videoId: string; version: number }[]> {
  const newest = new Map<string, number>()
  for (const message of await bus.newestOfEach(streams.outbox, outSubject('*', '*'), true)) {
    const [id = '', version = '0'] = (message.header('ce-id') ?? '').split(':')
    newest.set(id, Math.max(newest.get(id) ?? 0, Number(version)))
  }
  return [...newest].map(([videoId, version]) => ({ videoId, version }))
}

async function lastPublished(bus: Bus, id: string): Promise<StreamHead> {
  const message = await bus.newest(streams.outbox, outSubject('*', id))
  return message
    ? { sequence: message.sequence, version: Number(message.header('ce-id')?.split(':')[1]) }
    : nothing
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
