/**
 * All live readers of this gateway, by what they want: an event costs only those who want it. Keeps
 * the newest events, so that whoever comes back after a short absence is served from memory.
 *
 * Between two calls without an `await`, nothing can come in: who reads `after()` and subscribes in
 * one go misses nothing.
 */
import type { EventFeed } from '#libs/bus/event-feed.ts'
import type { FeedEvent } from '#libs/bus/replay.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { FairSlots } from '#libs/runtime/fair-slots.ts'
import { Frame } from './frame.ts'

export interface Wanted {
  /** Null: of all users, for operators. */
  userId: string | null
  projectId?: string | undefined
  videoId?: string | undefined
}

export interface LiveEvent {
  sequence: number
  userId: string
  frame: Frame
}

export interface Subscriber {
  take(event: LiveEvent): void
  /** Events may have been lost: begin with a snapshot again. */
  reset(): void
  /** There is more to tell than can be told. */
  fallBehind(): void
}

/** How many events are kept. */
export const history = 5_000
/** So many readers of one user are told something before others have their turn. */
const toldAtOnce = 100
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/**
 * Beginnings (look-ups in Postgres, replays from NATS) under way at once, and those of one user;
 * the others wait their turn.
 */
const starts = { total: 8, share: 2, patienceMs: 1_000 }

const everybody = 'everybody'
const keyOf = ({ userId, projectId, videoId }: Wanted) =>
  videoId ?? projectId ?? userId ?? everybody

const keysOf = ({ userId, frame: { data } }: LiveEvent) => [userId, data.projectId, data.id]

export const isWanted = (wanted: Wanted, { userId, frame: { data } }: LiveEvent) =>
  (wanted.userId === null || userId === wanted.userId) &&
  (!wanted.projectId || data.projectId === wanted.projectId) &&
  (!wanted.videoId || data.id === wanted.videoId)

export function toLive({ id, event, sequence, video: { userId, ...data } }: FeedEvent): LiveEvent {
  return { sequence, userId, frame: new Frame(id, event, data) }
}

export class Hub {
  readonly feed: EventFeed
  readonly #subscribers = new Map<string, Set<Subscriber>>()
  /** What a user's many readers have yet to be told, by user, in order. */
  #lanes = new Map<string, LiveEvent[]>()
  readonly #starts = new FairSlots({ clock: systemClock, ...starts })
  #kept: LiveEvent[] = []
  #floor: number
  /** How often everybody had to begin anew, and how long the feed had been deaf the last time. */
  #resets = 0
  #deafMs = 0

  constructor(feed: EventFeed) {
    this.feed = feed
    this.#floor = feed.lastSequence()
    feed.subscribe((event) => this.#on(toLive(event)))
    feed.onReset((deafMs) => this.#reset(deafMs))
  }

  get resets(): number {
    return this.#resets
  }

  get deafMs(): number {
    return this.#deafMs
  }

  /** What came after it is kept. */
  get floor(): number {
    return this.#floor
  }

  /** Events after that sequence, oldest first; null when it lies before what is kept. */
  after(sequence: number): LiveEvent[] | null {
    if (sequence < this.#floor) return null
    let from = this.#kept.length
    while (from > 0 && this.#kept[from - 1]!.sequence > sequence) from--
    return this.#kept.slice(from)
  }

  subscribe(wanted: Wanted, subscriber: Subscriber): () => void {
    const key = keyOf(wanted)
    const all = this.#subscribers.get(key) ?? new Set()
    this.#subscribers.set(key, all.add(subscriber))
    return () => {
      all.delete(subscriber)
      if (all.size === 0 && this.#subscribers.get(key) === all) this.#subscribers.delete(key)
    }
  }

  /** Users take turns, however many streams one of them begins. */
  withStartSlot<T>({ userId }: Wanted, work: () => Promise<T>): Promise<T> {
    return this.#starts.run(userId ?? everybody, work)
  }

  #on(event: LiveEvent): void {
    this.#kept.push(event)
    if (this.#kept.length >= history * 1.25) {
      this.#floor = this.#kept[this.#kept.length - history - 1]!.sequence
      this.#kept = this.#kept.slice(-history)
    }
    // in the order of the stream, which that of two users' lanes is not
    for (const subscriber of this.#subscribers.get(everybody) ?? []) subscriber.take(event)
    const { userId } = event
    const lane = this.#lanes.get(userId)
    if (!lane) {
      const own = [event]
      this.#lanes.set(userId, own)
      return void this.#tell(userId, own)
    }
    if (lane.push(event) <= history) return
    this.#lanes.delete(userId)
    for (const key of new Set(lane.flatMap(keysOf)))
      for (const reader of this.#subscribers.get(key) ?? []) reader.fallBehind()
  }

  async #tell(userId: string, lane: LiveEvent[]): Promise<void> {
    let told = 0
    for (let event = lane.shift(); event; event = lane.shift()) {
      for (const key of keysOf(event))
        for (const subscriber of this.#subscribers.get(key) ?? []) {
          subscriber.take(event)
          if (++told % toldAtOnce === 0) await nextTurn()
          if (this.#lanes.get(userId) !== lane) return
        }
    }
    this.#lanes.delete(userId)
  }

  #reset(deafMs: number): void {
    this.#resets++
    this.#deafMs = deafMs
    this.#kept = []
    this.#lanes = new Map()
    this.#floor = this.feed.lastSequence()
    for (const all of this.#subscribers.values()) for (const subscriber of all) subscriber.reset()
  }
}
