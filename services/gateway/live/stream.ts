/**
 * One live stream: a snapshot or a replay first, then changes, in order, without a gap or a
 * repetition.
 *
 * A position is `<generation>-<sequence>` of stream VIDEO. A snapshot is read after its position
 * was taken; an event implies its record, so what the snapshot has already is left out by version.
 * Only the last frame of a snapshot carries the position: whoever breaks off before it
 * (`<generation>-0`) begins again. When the NATS store was made anew or has gone back, a snapshot
 * is sent once more, with whatever has changed since the gateway heard the last of it.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Reader } from '#libs/store/reader.ts'
import { Frame } from './frame.ts'
import { isWanted, nextTurn, toLive, type Hub, type LiveEvent, type Wanted } from './hub.ts'
import { Outbound, type Sink } from './outbound.ts'

export interface StreamParts {
  hub: Hub
  reader: Reader
  clock: Clock
}

/** Of a snapshot; and of a replay, which is dear to begin, with breaths within. */
const page = 100
const replayPage = 500
const breath = 50
/** A snapshot has what is open, and what has changed within so many minutes. */
const recentMinutes = 10
const first = '00000000-0000-0000-0000-000000000000'

/** Runs until the signal aborts. */
export async function stream(
  parts: StreamParts,
  wanted: Wanted,
  lastEventId: string | undefined,
  sink: Sink,
  signal: AbortSignal,
): Promise<void> {
  const one = new Stream(parts, wanted, sink, signal)
  let from = lastEventId
  while (!signal.aborted) {
    await one.run(from)
    from = undefined
  }
}

class Stream {
  readonly #parts: StreamParts
  readonly #wanted: Wanted
  readonly #sink: Sink
  readonly #signal: AbortSignal
  readonly #out: Outbound
  /** Of videos in the snapshot, until an event has gone past it. */
  readonly #shown = new Map<string, number>()
  #position = 0
  #resets: number

  constructor(parts: StreamParts, wanted: Wanted, sink: Sink, signal: AbortSignal) {
    this.#parts = parts
    this.#wanted = wanted
    this.#sink = sink
    this.#signal = signal
    this.#out = new Outbound(sink, parts.clock)
    this.#resets = parts.hub.resets
    signal.addEventListener('abort', () => this.#out.release(), { once: true })
  }

  /** Returns when the reader is gone or everything has to begin anew. */
  async run(lastEventId: string | undefined): Promise<void> {
    const { hub } = this.#parts
    const { resets } = hub
    const { generation } = hub.feed
    if (!(await this.#resume(lastEventId))) {
      await this.#snapshot(generation)
      if (!(await this.#catchUp(generation))) return
    }
    const events = hub.after(this.#position)
    if (this.#signal.aborted || !events || hub.resets !== resets) return
    const ended = Promise.withResolvers<void>()
    const unsubscribe = hub.subscribe(this.#wanted, {
      take: (event) => this.#take(event),
      reset: ended.resolve,
      fallBehind: () => this.#sink.cut(),
    })
    this.#signal.addEventListener('abort', () => ended.resolve(), { once: true })
    for (const event of events) this.#take(event)
    await ended.promise
    unsubscribe()
  }

  /** Replays what came after the id; false when that cannot be known. */
  async #resume(lastEventId: string | undefined): Promise<boolean> {
    const { hub } = this.#parts
    const [, generation, sequence] = /^(\d{1,15})-(\d{1,15})$/.exec(lastEventId ?? '') ?? []
    if (Number(generation) !== hub.feed.generation || Number(sequence) === 0) return false
    this.#position = Number(sequence)
    // Of another gateway, it may be a little ahead of this one.
    if (this.#position > hub.feed.lastSequence())
      return (await hub.feed.replay(`${generation}-${this.#position}`, this.#signal)) !== null
    return this.#catchUp(hub.feed.generation)
  }

  /** All but the last few events up to now; false when they cannot be known any more. */
  async #catchUp(generation: number): Promise<boolean> {
    const { hub } = this.#parts
    const { resets } = hub
    while (!this.#signal.aborted) {
      if (hub.resets !== resets) return false
      const kept = hub.after(this.#position)
      if (kept && kept.length <= page) return true
      const isKnown = await hub.withStartSlot(this.#wanted, async () => {
        const events = kept?.slice(0, page) ?? (await this.#replay(generation))
        for (const event of events ?? []) this.#take(event)
        if (events) this.#position = events.at(-1)?.sequence ?? hub.floor
        await nextTurn()
        return events !== null
      })
      if (!isKnown) return false
      await this.#out.untilWritable()
    }
    return true
  }

  /** The next events from NATS, of everybody; null when the id cannot be known any more. */
  async #replay(generation: number): Promise<LiveEvent[] | null> {
    const { feed } = this.#parts.hub
    const replay = await feed.replay(`${generation}-${this.#position}`, this.#signal)
    if (!replay) return null
    const events: LiveEvent[] = []
    for await (const event of replay) {
      events.push(toLive(event))
      if (events.length >= replayPage) break
      if (events.length % breath === 0) await nextTurn()
    }
    return events
  }

  async #snapshot(generation: number): Promise<void> {
    const { hub, reader } = this.#parts
    const { userId, projectId, videoId } = this.#wanted
    this.#shown.clear()
    this.#position = hub.feed.lastSequence()
    const minutes =
      recentMinutes + (hub.resets === this.#resets ? 0 : Math.ceil(hub.deafMs / 60_000))
    this.#resets = hub.resets
    let last: SceneVideo | undefined
    const show = (videos: SceneVideo[]) => {
      for (const video of videos) {
        if (last) this.#out.push(new Frame(`${generation}-0`, 'snapshot', last))
        last = video
        this.#shown.set(video.id, video.version)
      }
      return !videoId && videos.length === page
    }
    for (let more = true; more && !this.#signal.aborted;) {
      more = await hub.withStartSlot(this.#wanted, async () => {
        // of all users it would have no end: an operator's stream begins with what comes next
        const videos =
          userId === null
            ? []
            : videoId
              ? [await reader.video(userId, videoId)].filter((video) => video !== null)
              : await reader.liveVideos(userId, projectId, last?.id ?? first, page, minutes)
        const isMore = show(videos)
        // whoever asks for something else is answered in between
        if (isMore) await nextTurn()
        return isMore
      })
      await this.#out.untilWritable()
    }
    const id = `${generation}-${this.#position}`
    if (last) this.#out.push(new Frame(id, 'snapshot', last))
    else this.#sink.mark(id)
  }

  #take(event: LiveEvent): void {
    if (event.sequence <= this.#position || !isWanted(this.#wanted, event)) return
    const { id, version } = event.frame.data
    if ((this.#shown.get(id) ?? 0) >= version) return
    this.#shown.delete(id)
    this.#position = event.sequence
    this.#out.push(event.frame)
  }
}
