/** When to ask next. Pure: randomness (0–1) is passed in. All times are milliseconds. */
import type { Phase } from '#libs/scene-video/scene-video.ts'

const backoffCeiling = 60_000
const jitterShare = 0.1

/** After a usable answer: the interval, ±10 % so that videos claimed together drift apart. */
export const afterAnswer = (interval: number, random: number): number =>
  interval * (1 - jitterShare + 2 * jitterShare * random)

/** After `misses` polls in a row without an answer. */
export const afterMiss = (interval: number, misses: number, random: number): number =>
  Math.min(backoffCeiling, interval * 2 ** Math.min(misses - 1, 6)) *
  (1 - jitterShare + 2 * jitterShare * random)

/** After being asked to wait: never earlier than asked, then spread over another interval. */
export const afterThrottle = (
  interval: number,
  retryAfter: number | null,
  random: number,
): number => (retryAfter ?? interval) + interval * random

/**
 * The first poll of a video just claimed, by a poller that hosts so many: soon, but not all at
 * once. Claims come by the thousand after a restart or a takeover; a millisecond for each hosted
 * video spreads them, over one interval at most.
 */
export const afterClaim = (interval: number, hosted: number, random: number): number =>
  Math.min(interval, Math.max(500, hosted)) * random

/** What an adaptive interval goes by. */
export interface Outlook {
  phase: Phase
  progress: number | null
  /** Milliseconds since the provider accepted the task. */
  elapsed: number
}

const shortest = 0.5
const longest = 3
/** Polls from any moment to the expected end, where the limits allow it. */
const pollsToTheEnd = 4

/**
 * The interval where it may adapt: long while queued and far from the end, short near it. Always
 * between half and three times the usual one.
 */
export function adaptiveInterval(interval: number, { phase, progress, elapsed }: Outlook): number {
  if (phase === 'queued') return interval * 2
  if (progress === null || progress <= 0 || elapsed <= 0) return interval
  const remaining = (elapsed * (100 - progress)) / progress
  return Math.min(interval * longest, Math.max(interval * shortest, remaining / pollsToTheEnd))
}
