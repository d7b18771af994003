/**
 * Whether this process has more to do than it can: by how much the last of its timers was late. One
 * look a second while somebody asks, and none while nobody does: the first who asks after a silence
 * is let in.
 */
import type { Clock } from '#libs/runtime/clock.ts'

const lookMs = 1_000
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
    if (this.#dueAt === Infinity) this.#lookAt(now + lookMs)
    // the one that is due may be late already
    return Math.max(this.#lateMs, now - this.#dueAt) > this.#mostMs
  }

  #lookAt(at: number): void {
    this.#dueAt = at
    this.#cancel = this.#clock.after(lookMs, () => this.#look())
  }

  #look(): void {
    const now = this.#clock.now()
    this.#lateMs = now - this.#dueAt
    if (now - this.#askedAt < silenceMs) return this.#lookAt(now + lookMs)
    this.#dueAt = Infinity
    this.#lateMs = 0
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }
}
