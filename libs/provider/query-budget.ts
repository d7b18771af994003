/**
 * The query budget of each account (place and key), shared fairly by all pollers: each takes 1/n of
 * the rate.
 *
 * Who asks too early is given the next free slot, and keeps it: so nobody asks again and again, and
 * what is asked for first comes first. Whose poll a slot is used for, the poller decides. An
 * account not met before is taken for used up: a restart brings no burst. The provider's own word
 * (its limit, what remains, Retry-After) overrules the estimate; where it has us wait without
 * having told a limit, less is asked for a while.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { Budgets, RateLimit } from './provider.ts'

/** Whose budget it is, and what is known of it beforehand. */
export interface BudgetAccount {
  readonly id: string
  readonly provider: { readonly budgets?: Budgets | undefined } | null
}

/** Of an account of which nothing is set or told; absent: what is declared of its provider. */
export interface FallbackBudget {
  perSecond?: number | undefined
  burst?: number | undefined
}

interface Entry {
  account: BudgetAccount
  /** When the bucket is full again if nobody takes any more (GCRA's theoretical arrival time). */
  fullAt: number
  pausedUntil: number
  /** How often it was paused. */
  pauses: number
  /** Calls a second as the provider tells them; null: it does not. */
  told: number | null
  /** Of the rate, what was used after the last refusal, and when that was. */
  share: number
  refusedAt: number
  /** When look-ups that made half of all calls would have made what they did. */
  lookUpsUntil: number
}

/**
 * A call that may be made at that instant, once; all that are asked for by that call may hold it.
 */
export interface Slot {
  at: number
  used: boolean
  /** Of the account's pauses: a slot of before the last one is void. */
  pause: number
}

/**
 * How long a share is used before it is worked out again; it changes when a poller comes or goes.
 */
const shareHoldsMs = 250
const mostAccounts = 10_000
const usual = { perSecond: 50, burst: 500 }
/** Of a limit: the rest is for look-ups, and for what arrives closer together than it left. */
const usedOfLimit = 0.95
/** After a refusal so much of the rate is used, and every second so much more. */
const keptAfterRefusal = 0.7
const regainedPerSecond = 0.03
const leastShare = 0.05
/** Look-ups come together: so much of their half may be used at once. */
const lookUpBurstMs = 2_000

export class Budget {
  readonly #accounts = new Map<string, Entry>()
  readonly #clock: Clock
  readonly #fallback: FallbackBudget
  readonly #shares: () => number
  #pollers = 1
  #pollersUntil = -Infinity

  constructor(clock: Clock, fallback: FallbackBudget, shares: () => number) {
    this.#clock = clock
    this.#fallback = fallback
    this.#shares = shares
  }

  /**
   * Takes one call: 0 when it may be made now, else milliseconds until the slot reserved for it.
   */
  take(account: BudgetAccount): number {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    const { every, slack } = this.#pace(account, entry, now)
    const fullAt = Math.max(entry.fullAt, now)
    entry.fullAt = fullAt + every
    return Math.max(0, fullAt - slack - now)
  }

  /**
   * The earliest of the slots held that is still good, else another; it is used when its instant
   * has come.
   */
  reserve(account: BudgetAccount, held: (Slot | null)[]): Slot {
    const now = this.#clock.now()
    const { pauses } = this.#entry(account, now)
    // rule: no slot outlives a pause
    const good = held.filter((one): one is Slot => one?.used === false && one.pause === pauses)
    const slot = good.length
      ? good.reduce((a, b) => (b.at < a.at ? b : a))
      : { at: now + this.take(account), used: false, pause: pauses }
    slot.used = slot.at <= now
    return slot
  }

  /**
   * Look-ups made so many calls, of what all pollers may make. These keep half of it at least, as
   * nothing holds look-ups back where no limit is known.
   */
  spent(accountId: string, count: number): void {
    const now = this.#clock.now()
    const entry = this.#accounts.get(accountId)
    if (!entry) return
    const { every } = this.#pace(entry.account, entry, now)
    const from = Math.max(entry.lookUpsUntil, now)
    const askedMs = (count * every) / this.#pollers
    // rule: polls keep half of the queries beside look-ups
    const ms = Math.min(askedMs, Math.max(0, now + lookUpBurstMs - from) / 2)
    entry.lookUpsUntil = from + ms * 2
    // rule: look-ups take from the account’s query budget
    entry.fullAt = Math.max(entry.fullAt, now) + ms
  }

  /** The provider knows better what is left, for all pollers together. */
  learn(account: BudgetAccount, { remaining, resetMs, perSecond }: RateLimit): void {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    entry.told = perSecond ?? entry.told
    const { every, slack } = this.#pace(account, entry, now)
    entry.fullAt = Math.max(
      entry.fullAt,
      now + slack + every - Math.max(1, remaining / this.#pollers) * every,
    )
    // a window of a length that nobody knows, and nothing left in it
    if (remaining === 0 && resetMs > 0 && entry.told === null)
      this.#stop(account, entry, now + resetMs)
  }

  /** Nobody asks for `ms`; then the bucket fills from empty. */
  pause(account: BudgetAccount, ms: number): void {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    // what was under way when the first of them was refused says nothing more
    if (entry.told === null && now >= entry.pausedUntil) {
      entry.share = Math.max(leastShare, keptAfterRefusal * shareAt(entry, now))
      entry.refusedAt = now + ms
    }
    this.#stop(account, entry, now + ms)
  }

  /** Whatever was reserved is void, and reserved anew from then on. */
  #stop(account: BudgetAccount, entry: Entry, until: number): void {
    if (until <= entry.pausedUntil) return
    entry.pausedUntil = until
    entry.pauses++
    entry.fullAt = until + this.#pace(account, entry, this.#clock.now()).slack
  }

  /** Milliseconds from one call to the next, and by how many the bucket lets calls come early. */
  #pace(account: BudgetAccount, entry: Entry, now: number): { every: number; slack: number } {
    if (now >= this.#pollersUntil) {
      this.#pollers = Math.max(1, this.#shares())
      this.#pollersUntil = now + shareHoldsMs
    }
    const { perSecond, burst } = this.#limitOf(account, entry.told)
    const used = perSecond * usedOfLimit * shareAt(entry, now)
    const every = (1_000 * this.#pollers) / used
    return { every, slack: Math.max(0, burst / this.#pollers - 1) * every }
  }

  /** What the operator set for the provider is never exceeded; what is told says what there is. */
  #limitOf({ provider }: BudgetAccount, told: number | null) {
    const { usual: declared = {}, set = {} } = provider?.budgets ?? {}
    const known = this.#fallback.perSecond ?? declared.queryPerSecond ?? usual.perSecond
    const perSecond = Math.min(set.queryPerSecond ?? Infinity, told ?? set.queryPerSecond ?? known)
    const isKnown = perSecond !== usual.perSecond
    const burst =
      set.queryBurst ?? this.#fallback.burst ?? declared.queryBurst ?? (isKnown ? 1 : usual.burst)
    return { perSecond, burst }
  }

  #entry(account: BudgetAccount, now: number): Entry {
    const known = this.#accounts.get(account.id)
    if (known) return known
    if (this.#accounts.size >= mostAccounts) this.#forget(now)
    const entry = {
      account,
      fullAt: now,
      pausedUntil: 0,
      pauses: 0,
      told: null,
      share: 1,
      refusedAt: -Infinity,
      lookUpsUntil: -Infinity,
    }
    entry.fullAt += this.#pace(account, entry, now).slack
    this.#accounts.set(account.id, entry)
    return entry
  }

  /** Those of which nothing is remembered that matters: a full bucket, no pause. */
  #forget(now: number): void {
    for (const [id, { fullAt, pausedUntil }] of this.#accounts)
      if (fullAt <= now && pausedUntil <= now) this.#accounts.delete(id)
  }
}

const shareAt = ({ share, refusedAt }: Entry, now: number): number =>
  Math.min(1, share + Math.max(0, (now - refusedAt) / 1_000) * regainedPerSecond)

/**
 * `mayWrite` of a query that may need several requests: `count` is told of each but the first,
 * whose call was taken before.
 */
export function countingFurther(mayAsk: () => boolean, count: () => void): () => boolean {
  let isFirst = true
  return () => {
    if (!mayAsk()) return false
    if (!isFirst) count()
    isFirst = false
    return true
  }
}
