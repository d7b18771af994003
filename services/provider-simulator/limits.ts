/** toapis' two token buckets per account. A rejected request costs nothing. */
import type { Settings } from './settings.ts'

export type Category = 'submit' | 'query'
const tiers: Record<
  Exclude<Settings['tier'], 'off'>,
  Record<Category, { perMinute: number; burst: number }>
> = {
  default: { submit: { perMinute: 300, burst: 50 }, query: { perMinute: 3_000, burst: 500 } },
  vip: { submit: { perMinute: 1_000, burst: 167 }, query: { perMinute: 10_000, burst: 1_667 } },
  svip: { submit: { perMinute: 2_000, burst: 333 }, query: { perMinute: 30_000, burst: 5_000 } },
}

export class Limits {
  readonly #buckets = new Map<string, { tokens: number; at: number }>()

  /** Headers to answer with, and seconds to wait when over the limit. */
  take(
    account: string,
    category: Category,
    tier: Settings['tier'],
    now: number,
  ): { headers: Record<string, string>; waitSeconds: number } {
    if (tier === 'off') return { headers: {}, waitSeconds: 0 }
    const { perMinute, burst } = tiers[tier][category]
    const key = `${tier} ${category} ${account}`
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now }
    this.#buckets.set(key, bucket)
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) * perMinute) / 60_000)
    bucket.at = now
    const allowed = bucket.tokens >= 1
    if (allowed) bucket.tokens--
    const waitSeconds = allowed ? 0 : Math.ceil(((1 - bucket.tokens) * 60) / perMinute)
    const headers: Record<string, string> = {
      'X-RateLimit-Limit': String(perMinute),
      'X-RateLimit-Remaining': String(Math.floor(bucket.tokens)),
      'X-RateLimit-Reset': String(Math.ceil(((burst - bucket.tokens) * 60) / perMinute)),
      'X-RateLimit-Category': category,
    }
    if (!allowed) headers['Retry-After'] = String(Math.max(1, waitSeconds))
    return { headers, waitSeconds }
  }
}
