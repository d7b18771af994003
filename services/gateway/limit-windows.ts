/** The minutes and days (UTC, by Postgres' time) that what a user does is counted in. */
import type { Clock } from '#libs/runtime/clock.ts'
import type { UsageKind } from '#libs/store/usage.ts'

export const minuteMs = 60_000
const windowMs: Record<UsageKind, number> = {
  requests: minuteMs,
  creates_minute: minuteMs,
  creates_day: 24 * 60 * minuteMs,
}
export const kinds = Object.keys(windowMs) as UsageKind[]
/** Two readings of one clock differ by the round trip between them. */
const clockSlackMs = 2_000

export interface Count {
  window: number
  /** The sum as last heard, and what was counted since. */
  known: number
  mine: number
}

export class Windows {
  readonly #clock: Clock
  /** Postgres' time less this process' monotonic one; unknown, a window begins anywhere. */
  #offsetMs = 0
  constructor(clock: Clock) {
    this.#clock = clock
  }

  current(kind: UsageKind): number {
    return Math.floor((this.#clock.now() + this.#offsetMs) / windowMs[kind])
  }

  untilNext(kind: UsageKind): number {
    const ms = windowMs[kind]
    return ms - ((this.#clock.now() + this.#offsetMs) % ms)
  }

  /** The count of the present window; what is of an earlier one is over. */
  count(counts: Map<UsageKind, Count>, kind: UsageKind): Count {
    const window = this.current(kind)
    const found = counts.get(kind)
    if (found?.window === window) return found
    const made = { window, known: 0, mine: 0 }
    counts.set(kind, made)
    return made
  }

  /** What was counted as of the present stays so, when the time is another than was thought. */
  setTime(nowMs: number, users: Iterable<{ counts: Map<UsageKind, Count> }>): void {
    const offsetMs = nowMs - this.#clock.now()
    if (Math.abs(offsetMs - this.#offsetMs) <= clockSlackMs) return
    const before = kinds.map((kind) => [kind, this.current(kind)] as const)
    this.#offsetMs = offsetMs
    for (const { counts } of users)
      for (const [kind, window] of before) {
        const count = counts.get(kind)
        if (count?.window === window) count.window = this.current(kind)
      }
  }
}
