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
