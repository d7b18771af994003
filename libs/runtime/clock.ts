/**
 * Time, passed in. `now()` is monotonic milliseconds with an arbitrary origin: fit for intervals, leases and windows,
 * never for dates. Instants that must be dates come from Postgres, whose clock alone judges deadlines.
 */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
}

export const systemClock: Clock = { now: () => performance.now() }

/** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}
