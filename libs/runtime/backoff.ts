/** How long to wait before trying again, in whole milliseconds. */

export interface Backoff {
  /** After the first failure. */
  firstMs: number
  maxMs: number
}

/** Doubles with every failure; `failures` counts from 1. */
export const backoffMs = (failures: number, { firstMs, maxMs }: Backoff): number =>
  Math.round(Math.min(maxMs, firstMs * 2 ** Math.min(Math.max(0, failures - 1), 30)))

/**
 * The same, spread over its upper half, so that those who failed together do not return together.
 * `random` is 0 ≤ x < 1.
 */
export const jitteredBackoffMs = (failures: number, backoff: Backoff, random: number): number =>
  Math.round(backoffMs(failures, backoff) * (0.5 + random / 2))
