/**
 * Queries under way, each with one bound from its begin to its answer. When that has passed it is
 * given up: its signal is aborted and it is answered for, whether or not whoever asks heeds the
 * signal. One timer for all of them, as all have the same bound.
 */
import type { AbortSignalLike, Control } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'

/** One query, and the signal by which it is given up. */
class Open implements AbortSignalLike {
  aborted = false
  readonly endsAt: number
  readonly #answerFor: () => void
  readonly #listeners: (() => void)[] = []

  constructor(endsAt: number, answerFor: () => void) {
    this.endsAt = endsAt
    this.#answerFor = answerFor
  }

  addEventListener(_: 'abort', listener: () => void): void {
    this.#listeners.push(listener)
  }

  removeEventListener(_: 'abort', listener: () => void): void {
    const i = this.#listeners.indexOf(listener)
    if (i >= 0) this.#listeners.splice(i, 1)
  }

  giveUp(): void {
    this.aborted = true
    for (const listener of this.#listeners.splice(0)) listener()
    this.#answerFor()
  }
}

export class OpenQueries {
  readonly #clock: Clock
  readonly #timeoutMs: number
  /** The oldest first. */
  readonly #open = new Set<Open>()
  #isTimed = false

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /**
   * What `ask` answers in time, else `otherwise`. `mayWrite` is asked before the first byte is
   * sent. Rejects when `ask` does.
   */
  run<T>(
    ask: (control: Control) => Promise<T>,
    mayWrite: () => boolean,
    otherwise: () => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const open = new Open(this.#clock.now() + this.#timeoutMs, () => resolve(otherwise()))
      this.#open.add(open)
      this.#time()
      ask({ signal: open, mayWrite }).then(
        (answer) => {
          this.#open.delete(open)
          resolve(answer)
        },
        (err: unknown) => {
          this.#open.delete(open)
          reject(err as Error)
        },
      )
    })
  }

  #time(): void {
    const [oldest] = this.#open
    if (this.#isTimed || !oldest) return
    this.#isTimed = true
    this.#clock.after(Math.max(0, oldest.endsAt - this.#clock.now()), () => {
      this.#isTimed = false
      const now = this.#clock.now()
      for (const open of this.#open) {
        if (open.endsAt > now) break
        // rule: a query without an end is given up
        this.#open.delete(open)
        open.giveUp()
      }
      this.#time()
    })
  }
}
