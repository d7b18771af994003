/**
 * Time and chance, passed in, so that the same code runs on a machine and in a simulation. `now()`
 * is monotonic milliseconds with an arbitrary origin: fit for intervals, leases and windows, never
 * for dates. Instants that must be dates come from Postgres, whose clock alone judges deadlines.
 */
export interface Clock {
  /** Monotonic milliseconds. */
  now(): number
  /** Calls once after `ms`; the returned function takes it back. */
  after(ms: number, act: () => void): () => void
  /** 0 ≤ x < 1. */
  random(): number
  uuid(): string
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms)
    return () => clearTimeout(timer)
  },
  random: Math.random,
  uuid: () => crypto.randomUUID(),
}

/** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
export function sleep(ms: number, signal?: AbortSignal, clock: Clock = systemClock): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
