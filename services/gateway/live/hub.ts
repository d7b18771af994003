/**
 * All live readers of this gateway, by what they want: an event costs only those who want it. Keeps
 * the newest events, so that whoever comes back after a short absence is served from memory.
 *
 * Between two calls without an `await`, nothing can come in: who reads `after()` and subscribes in
 * one go misses nothing.
 */
import type { EventFeed } from '#libs/bus/event-feed.ts'
import type { FeedEvent } from '#libs/bus/replay.ts'
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
}

/** How many events are kept. */
export const history = 5_000
/**
 * Beginnings (look-ups in Postgres, replays from NATS) under way at once; the others wait their
 * turn.
 */
const maxConcurrentStarts = 8

const everybody = 'everybody'
const keyOf = ({ userId, projectId, videoId }: Wanted) =>
  videoId ?? projectId ?? userId ?? everybody

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
  readonly #waiting: (() => void)[] = []
  #starts = 0
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

  async withStartSlot<T>(work: () => Promise<T>): Promise<T> {
    if (this.#starts >= maxConcurrentStarts)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#starts++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#starts--
    }
  }

  #on(event: LiveEvent): void {
    this.#kept.push(event)
    if (this.#kept.length >= history * 1.25) {
      this.#floor = this.#kept[this.#kept.length - history - 1]!.sequence
      this.#kept = this.#kept.slice(-history)
    }
    for (const key of [event.userId, event.frame.data.projectId, event.frame.data.id, everybody]) {
      for (const subscriber of this.#subscribers.get(key) ?? []) subscriber.take(event)
    }
  }

  #reset(deafMs: number): void {
    this.#resets++
    this.#deafMs = deafMs
    this.#kept = []
    this.#floor = this.feed.lastSequence()
    for (const all of this.#subscribers.values()) for (const subscriber of all) subscriber.reset()
  }
}
