import { sleep, type Clock } from './clock.ts'

/**
 * Runs `run` again and again, `ms` after the former run has ended, until the signal aborts; first
 * after `firstMs`. A run that fails is told to `onError` and keeps no later one from happening.
 * Resolves when the last run has ended; never rejects.
 */
export async function every(
  clock: Clock,
  ms: number,
  signal: AbortSignal,
  run: () => Promise<unknown>,
  onError: (err: unknown) => void,
  firstMs = ms,
): Promise<void> {
  for (let waitMs = firstMs; ; waitMs = ms) {
    if (waitMs > 0) await sleep(waitMs, signal, clock)
    if (signal.aborted) return
    try {
      await run()
    } catch (err) {
      onError(err)
    }
  }
}

export interface Repeated {
  clock: Clock
  everyMs: number
  firstMs?: number
  onError: (err: unknown) => void
}

/** The same until it is disposed of, which waits for the run in hand; `stop` is aborted then. */
export function repeat(
  { clock, everyMs, firstMs, onError }: Repeated,
  run: (stop: AbortSignal) => Promise<unknown>,
): AsyncDisposable {
  const stop = new AbortController()
  const running = every(clock, everyMs, stop.signal, () => run(stop.signal), onError, firstMs)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}

/** So many runs in a row have found nothing before they become rare. */
const emptyRuns = 5

export interface RareWhenIdle extends Repeated {
  /** Between two runs, once several in a row have found nothing. */
  idleMs: number
}

/**
 * A repeated look that costs little while there is nothing to do: each run says whether it found
 * anything, and after several that did not they are `idleMs` apart instead of `everyMs`. `wake`
 * makes them frequent again: the next is `everyMs` later at most.
 */
export class Looks implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #empty = 0
  #woken = new AbortController()

  constructor(options: RareWhenIdle, run: () => Promise<boolean>) {
    this.#running = this.#repeat(options, run)
  }

  wake(): void {
    this.#empty = 0
    // rule: a look that is rare is woken
    if (!this.#woken.signal.aborted) this.#woken.abort() // which makes an error, with its stack
  }

  async #repeat(options: RareWhenIdle, run: () => Promise<boolean>): Promise<void> {
    const { clock, everyMs, idleMs, firstMs = everyMs, onError } = options
    const { signal } = this.#stop
    await sleep(firstMs, signal, clock)
    while (!signal.aborted) {
      try {
        this.#empty = (await run()) ? 0 : this.#empty + 1
      } catch (err) {
        this.#empty = 0
        onError(err)
      }
      if (this.#empty >= emptyRuns) await this.#rest(idleMs, clock)
      else await sleep(everyMs, signal, clock)
    }
  }

  async #rest(ms: number, clock: Clock): Promise<void> {
    this.#woken = new AbortController()
    await sleep(ms, AbortSignal.any([this.#stop.signal, this.#woken.signal]), clock)
  }

  /** Waits for the run in hand. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#running
  }
}
