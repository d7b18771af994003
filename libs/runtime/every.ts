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
