/** How long to wait before something is tried again. */

const firstWaitMs = 500
const longestWaitMs = 30_000

/**
 * Between half and all of a wait that doubles with every failure: clients that lost the same
 * gateway do not return as one.
 */
export const backoffMs = (failures: number): number =>
  Math.min(firstWaitMs * 2 ** failures, longestWaitMs) * (0.5 + Math.random() / 2)

/** @throws the signal's reason when it aborts meanwhile */
export function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason as Error)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}
