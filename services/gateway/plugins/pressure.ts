/**
 * Whether this process has more to do than it can: by how much the last of its timers was late. One
 * look a second while somebody asks, ten while it is too much, and none while nobody asks: the
 * first who asks after a silence is let in.
 */
import type { Clock } from '#libs/runtime/clock.ts'

const lookMs = 1_000
/** While it is too much: a process that only stood still refuses nobody for longer than that. */
const soonMs = 100
/** Looks end when nobody has asked for so long. */
const silenceMs = 10_000

export class Pressure implements Disposable {
  readonly #clock: Clock
  readonly #mostMs: number
  #dueAt = Infinity
  #lateMs = 0
  #askedAt = -Infinity
  #cancel = () => {}

  /** Under pressure while timers are later than `mostMs`. */
  constructor(clock: Clock, mostMs: number) {
    this.#clock = clock
    this.#mostMs = mostMs
  }

  isTooHigh(): boolean {
    const now = this.#clock.now()
    this.#askedAt = now
    if (this.#dueAt === Infinity) this.#lookIn(lookMs)
    // the one that is due may be late already
    return Math.max(this.#lateMs, now - this.#dueAt) > this.#mostMs
  }

  #lookIn(ms: number): void {
    this.#dueAt = this.#clock.now() + ms
    this.#cancel = this.#clock.after(ms, () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    this.#lateMs = now - this.#dueAt
    if (now - this.#askedAt < silenceMs)
      return this.#lookIn(this.#lateMs > this.#mostMs ? soonMs : lookMs)
    this.#dueAt = Infinity
    this.#lateMs = 0
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }
}
