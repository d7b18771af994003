/**
 * Time and chance, passed in, so that the same code runs on a machine and in a simulation.
 *
 * `now()` is boot time: milliseconds with an arbitrary origin that never go back, follow no
 * correction of the wall clock, and go on while the machine is suspended. It is for intervals,
 * leases, trust and windows, never for dates. What it cannot see is a guest whose host pauses it
 * together with all of its clocks. Timers count awake time only: after a suspend they are late by
 * its length, so whoever acts on an instant compares it with `now()`.
 *
 * Instants that must be dates come from Postgres, whose clock alone judges deadlines; `unixMs()` is
 * for what others read as a date (tokens, signatures, the order of ids).
 */
import { uptime } from 'node:os'

export interface Clock {
  /** Boot-time milliseconds. */
  now(): number
  /** Calls once after `ms`; the returned function takes it back. */
  after(ms: number, act: () => void): () => void
  /** 0 ≤ x < 1. */
  random(): number
  uuid(): string
}

/** Three clocks of one machine, in milliseconds. */
export interface MachineClocks {
  /** Cheap to read; goes on during a suspend, and is set by people and by NTP. */
  wall(): number
  /** Never set; stands still during a suspend. */
  monotonic(): number
  /** Never set, goes on during a suspend; coarse, and dear to read. */
  boot(): number
}

/** Read again from the wall clock alone, as nothing can have been set for longer than that. */
const trustWallMs = 5
/** A wall clock that moved by so much beside the monotonic one was set, or there was a suspend. */
const jumpMs = 20
/** So often the boot clock is read in any case: somebody may have set the wall during a suspend. */
const readBootEveryMs = 10_000
/** Less than that is how coarse the boot clock is. */
const leastSuspendMs = 50

/**
 * Boot time at the price of reading the wall clock: the boot clock itself is read only when the
 * wall clock has moved beside the monotonic one, which a suspend always does.
 */
export function bootClock(clocks: MachineClocks): () => number {
  const bootOffset = clocks.boot() - clocks.monotonic()
  let suspendedMs = 0
  let wallOffset = clocks.wall() - clocks.monotonic()
  let bootReadAt = clocks.monotonic()
  let checkedAt = -Infinity
  let base = -Infinity
  let newest = -Infinity
  const check = (wall: number) => {
    const monotonic = clocks.monotonic()
    const hasJumped = Math.abs(wall - monotonic - wallOffset) > jumpMs
    if (hasJumped || monotonic > bootReadAt + readBootEveryMs) {
      wallOffset = wall - monotonic
      bootReadAt = monotonic
      const suspended = clocks.boot() - clocks.monotonic() - bootOffset
      // rule: the clock counts what the machine slept
      if (suspended > suspendedMs + leastSuspendMs) suspendedMs = suspended
    }
    checkedAt = wall
    base = monotonic + suspendedMs
    return base
  }
  return () => {
    const wall = clocks.wall()
    const since = wall - checkedAt
    const now = since >= 0 && since < trustWallMs ? base + since : check(wall)
    if (now > newest) newest = now
    return newest
  }
}

/** Boot-time milliseconds, for what is measured rather than simulated. */
export const bootMs = bootClock({
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  boot: () => uptime() * 1_000,
})

/** Unix milliseconds by the wall clock, which may be wrong and may leap. */
export const unixMs = (): number => Date.now()

export const systemClock: Clock = {
  now: bootMs,
  after(ms, act) {
    const timer = setTimeout(act, Math.max(0, ms))
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
