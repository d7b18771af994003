/** When to ask next. Pure: randomness (0–1) is passed in. All times are milliseconds. */

const backoffCeiling = 60_000
const jitterShare = 0.1

/** After a usable answer: the interval, ±10 % so that videos claimed together drift apart. */
export const afterAnswer = (interval: number, random: number): number => interval * (1 - jitterShare + 2 * jitterShare * random)

/** After `misses` polls in a row without an answer. */
export const afterMiss = (interval: number, misses: number, random: number): number =>
  Math.min(backoffCeiling, interval * 2 ** Math.min(misses - 1, 6)) * (1 - jitterShare + 2 * jitterShare * random)

/** After being asked to wait: never earlier than asked, then spread over another interval. */
export const afterThrottle = (interval: number, retryAfter: number | null, random: number): number => (retryAfter ?? interval) + interval * random

/** The first poll of a video just claimed: soon, but not all at once. */
export const afterClaim = (interval: number, random: number): number => Math.min(interval, 500) * random
