/**
 * What goes to one reader. While the reader is slow, only the newest progress of a video is kept,
 * and all else in order; a reader too far behind, or stuck for too long, is cut off: it may resume
 * by id.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { Frame } from './frame.ts'

export interface Sink {
  /** False when the reader is slow: write no more until `onDrain`. */
  write(frame: Frame): boolean
  onDrain(resume: () => void): void
  /** Tells the reader where it is, with nothing to show. */
  mark(id: string): void
  cut(): void
}

const maxQueuedFrames = 2_000
const stuckMs = 60_000
/** A replay pauses while more than this is queued. */
const replayHighWaterMark = 200

export class Outbound {
  readonly #sink: Sink
  readonly #clock: Clock
  readonly #queue = new Map<string, Frame>()
  #waiting = false
  #over = false
  #room: (() => void)[] = []

  constructor(sink: Sink, clock: Clock) {
    this.#sink = sink
    this.#clock = clock
  }

  push(frame: Frame): void {
    if (this.#over) return
    if (!this.#waiting) return this.#write(frame)
    const key =
      frame.event === 'progress'
        ? `progress ${frame.data.id}`
        : `${frame.event} ${frame.data.id} ${frame.data.version}`
    this.#queue.delete(key)
    this.#queue.set(key, frame)
    if (this.#queue.size > maxQueuedFrames) this.#sink.cut()
  }

  /** Resolves when there is room for more. */
  async untilWritable(): Promise<void> {
    if (!this.#over && this.#queue.size > replayHighWaterMark)
      await new Promise<void>((resolve) => this.#room.push(resolve))
  }

  /** Lets who waits for room go on, when the reader is gone. */
  release(): void {
    this.#over = true
    this.#queue.clear()
    for (const resolve of this.#room.splice(0)) resolve()
  }

  #write(frame: Frame): void {
    if (this.#sink.write(frame)) return
    this.#waiting = true
    const forget = this.#clock.after(stuckMs, () => this.#sink.cut())
    this.#sink.onDrain(() => {
      forget()
      this.#waiting = false
      this.#flush()
    })
  }

  #flush(): void {
    for (const [key, frame] of this.#queue) {
      this.#queue.delete(key)
      this.#write(frame)
      if (this.#waiting) break
    }
    if (this.#queue.size <= replayHighWaterMark)
      for (const resolve of this.#room.splice(0)) resolve()
  }
}
