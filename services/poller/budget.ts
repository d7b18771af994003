/**
 * The query budget of each account (place and key), shared fairly by all pollers: each takes 1/n of
 * the rate.
 *
 * Who asks too early is given the next free slot, and keeps it: so with more videos than the rate
 * allows for, all of an account's intervals stretch alike, in the order in which they were due, and
 * nobody asks again and again. An account not met before is taken for used up: a restart brings no
 * burst. The provider's own word (what remains, Retry-After) overrules the estimate.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { RateLimit } from '#libs/provider/provider.ts'

interface Account {
  /** When the bucket is full again if nobody takes any more (GCRA's theoretical arrival time). */
  fullAt: number
  pausedUntil: number
}

/**
 * A call that may be made at that instant, once; all that are asked for by that call may hold it.
 */
export interface Slot {
  at: number
  used: boolean
}

/**
 * How long a share is used before it is worked out again; it changes when a poller comes or goes.
 */
const shareHoldsMs = 250
const mostAccounts = 10_000

export class Budget {
  readonly #accounts = new Map<string, Account>()
  readonly #clock: Clock
  readonly #rate: { perSecond: number; burst: number }
  readonly #shares: () => number
  #share = 1
  #shareUntil = -Infinity

  constructor(clock: Clock, rate: { perSecond: number; burst: number }, shares: () => number) {
    this.#clock = clock
    this.#rate = rate
    this.#shares = shares
  }

  /**
   * Takes one call: 0 when it may be made now, else milliseconds until the slot reserved for it.
   */
  take(account: string): number {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    const { every, slack } = this.#pace(now)
    const fullAt = Math.max(entry.fullAt, now)
    entry.fullAt = fullAt + every
    return Math.max(0, fullAt - slack - now)
  }

  /**
   * The earliest of the slots held that is still good, else another; it is used when its instant
   * has come.
   */
  reserve(account: string, held: (Slot | null)[]): Slot {
    const now = this.#clock.now()
    const isGood = (slot: Slot | null): slot is Slot => slot !== null && !slot.used
    const good = this.isPaused(account) ? [] : held.filter(isGood)
    const slot = good.length
      ? good.reduce((a, b) => (b.at < a.at ? b : a))
      : { at: now + this.take(account), used: false }
    slot.used = slot.at <= now
    return slot
  }

  /** Whether the account was asked to wait since a slot was reserved: it is void then. */
  isPaused(account: string): boolean {
    return (this.#accounts.get(account)?.pausedUntil ?? 0) > this.#clock.now()
  }

  /** The provider knows better what is left, for all pollers together. */
  learn(account: string, { remaining }: RateLimit): void {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    const { every, slack } = this.#pace(now)
    entry.fullAt = Math.max(
      entry.fullAt,
      now + slack + every - Math.max(1, remaining / this.#share) * every,
    )
  }

  /** Nobody asks for `ms`; then the bucket fills from empty. */
  pause(account: string, ms: number): void {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    entry.pausedUntil = Math.max(entry.pausedUntil, now + ms)
    entry.fullAt = Math.max(entry.fullAt, entry.pausedUntil + this.#pace(now).slack)
  }

  /** Milliseconds from one call to the next, and by how many the bucket lets calls come early. */
  #pace(now: number): { every: number; slack: number } {
    if (now >= this.#shareUntil) {
      this.#share = Math.max(1, this.#shares())
      this.#shareUntil = now + shareHoldsMs
    }
    const every = (1_000 * this.#share) / this.#rate.perSecond
    return { every, slack: Math.max(0, this.#rate.burst / this.#share - 1) * every }
  }

  #entry(account: string, now: number): Account {
    const known = this.#accounts.get(account)
    if (known) return known
    if (this.#accounts.size >= mostAccounts) this.#forget(now)
    const entry = { fullAt: now + this.#pace(now).slack, pausedUntil: 0 }
    this.#accounts.set(account, entry)
    return entry
  }

  /** Those of which nothing is remembered that matters: a full bucket, no pause. */
  #forget(now: number): void {
    for (const [id, { fullAt, pausedUntil }] of this.#accounts)
      if (fullAt <= now && pausedUntil <= now) this.#accounts.delete(id)
  }
}
