/**
 * The query budget of each account (base URL), shared fairly by all pollers: each takes 1/n of the rate. The provider's own
 * headers and Retry-After overrule the estimate.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { RateLimit } from '#libs/provider/provider.ts'

interface Account {
  tokens: number
  at: number
  pausedUntil: number
}

export class Budget {
  readonly #accounts = new Map<string, Account>()
  readonly #clock: Clock
  readonly #rate: { perSecond: number; burst: number }
  readonly #shares: () => number

  constructor(clock: Clock, rate: { perSecond: number; burst: number }, shares: () => number) {
    this.#clock = clock
    this.#rate = rate
    this.#shares = shares
  }

  /** Takes one call; 0 when it may be made now, else milliseconds to wait before asking again. */
  take(account: string): number {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    if (entry.pausedUntil > now) return entry.pausedUntil - now + this.#clock.random() * 500
    const perMs = this.#rate.perSecond / 1000 / this.#shares()
    entry.tokens = Math.min(this.#rate.burst / this.#shares(), entry.tokens + (now - entry.at) * perMs)
    entry.at = now
    if (entry.tokens < 1) return (1 - entry.tokens) / perMs + this.#clock.random() * 250
    entry.tokens--
    return 0
  }

  /** The provider knows better what is left. */
  learn(account: string, { remaining }: RateLimit): void {
    const entry = this.#entry(account, this.#clock.now())
    entry.tokens = Math.min(entry.tokens, remaining)
  }

  pause(account: string, ms: number): void {
    const now = this.#clock.now()
    const entry = this.#entry(account, now)
    entry.pausedUntil = Math.max(entry.pausedUntil, now + ms)
  }

  #entry(account: string, now: number): Account {
    let entry = this.#accounts.get(account)
    if (!entry) this.#accounts.set(account, (entry = { tokens: this.#rate.burst / this.#shares(), at: now, pausedUntil: 0 }))
    return entry
  }
}
