/**
 * Queries under way, each with one bound from its begin to its answer. When that has passed it is
 * given up: its signal is aborted and it is answered for, whether or not whoever asks heeds the
 * signal. One timer for all of them, as all have the same bound.
 */
import type { Control } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'

interface Open {
  readonly endsAt: number
  giveUp(): void
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
      const abort = new AbortController()
      const open: Open = {
        endsAt: this.#clock.now() + this.#timeoutMs,
        giveUp: () => {
          abort.abort()
          resolve(otherwise())
        },
      }
      this.#open.add(open)
      this.#time()
      ask({ signal: abort.signal, mayWrite }).then(
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
