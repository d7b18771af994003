/**
 * Whether this process has more to do than it can: by how much the last of its timers was late. One
 * look a second, so that an idle gateway stays idle.
 */
import type { Clock } from '#libs/runtime/clock.ts'

const lookMs = 1_000

export class Pressure implements Disposable {
  readonly #clock: Clock
  readonly #mostMs: number
  #dueAt: number
  #lateMs = 0
  #cancel: () => void

  /** Under pressure while timers are later than `mostMs`. */
  constructor(clock: Clock, mostMs: number) {
    this.#clock = clock
    this.#mostMs = mostMs
    this.#dueAt = clock.now() + lookMs
    this.#cancel = clock.after(lookMs, () => this.#look())
  }

  isTooHigh(): boolean {
    // the one that is due may be late already
    return Math.max(this.#lateMs, this.#clock.now() - this.#dueAt) > this.#mostMs
  }

  #look(): void {
    const now = this.#clock.now()
    this.#lateMs = now - this.#dueAt
    this.#dueAt = now + lookMs
    this.#cancel = this.#clock.after(lookMs, () => this.#look())
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }
}
