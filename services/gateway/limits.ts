/**
 * How much a user may do, over all its keys and all gateways: requests and creates a minute,
 * creates a day, videos open at once, API keys. Each gateway counts by itself and tells Postgres
 * once a second what it counted, and hears the sum: so a limit may be passed by what the others
 * took within that second. While Postgres is away each counts alone.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Usage, UsageKind, UsageStore } from '#libs/store/usage.ts'
import { exceeded, limitsSchema, type LimitName, type LimitValues } from './limit-values.ts'

const flushMs = 1_000
/** Two readings of one clock differ by the round trip between them. */
const clockSlackMs = 2_000
const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
const windowMs: Record<UsageKind, number> = {
  requests: minuteMs,
  creates_minute: minuteMs,
  creates_day: dayMs,
}
const kinds = Object.keys(windowMs) as UsageKind[]
/** Users that did nothing for so long are forgotten. */
const idleMs = 10 * minuteMs

interface Count {
  window: number
  /** The sum as last heard, and what was counted since. */
  known: number
  mine: number
}
interface User {
  counts: Map<UsageKind, Count>
  open: number
  openSince: number
  wantsOpen: boolean
  values: LimitValues
  usedAt: number
}

export class Limits implements AsyncDisposable {
  readonly #defaults: LimitValues
  readonly #store: UsageStore
  readonly #clock: Clock
  readonly #users = new Map<string, User>()
  readonly #stop = new AbortController()
  readonly #flushing: Promise<void>
  /** Postgres' time less this process' monotonic one; unknown, a window begins anywhere. */
  #offsetMs = 0
  #forgotAt = -Infinity

  constructor(defaults: LimitValues, store: UsageStore, parts: { clock: Clock; log: Logger }) {
    const { clock, log } = parts
    this.#defaults = defaults
    this.#store = store
    this.#clock = clock
    this.#flushing = every(
      clock,
      flushMs,
      this.#stop.signal,
      () => this.#flush(),
      (err) => log.warn({ err }, 'usage of limits not told'),
    )
  }

  /** For @fastify/rate-limit: counts a request; how many there were, and when the window ends. */
  countRequest(userId: string): { current: number; ttl: number; limit: number } {
    const user = this.#user(userId)
    const count = this.#count(user, 'requests')
    count.mine++
    return {
      current: count.known + count.mine,
      ttl: this.#untilNext('requests'),
      limit: user.values.requestsPerMinute,
    }
  }

  /**
   * Counts what will be paid for. The returned function takes so much of it back, as was not made.
   * @throws Problem 429 that names what is exceeded
   */
  async admitCreates(userId: string, n = 1): Promise<(back: number) => void> {
    const user = this.#user(userId)
    if (user.openSince === 0 && user.open === 0) await this.#readOpen([userId]).catch(() => {})
    const { values } = user
    const minute = this.#count(user, 'creates_minute')
    const day = this.#count(user, 'creates_day')
    this.#require('createsPerMinute', values.createsPerMinute, minute, n, 'creates_minute')
    this.#require('createsPerDay', values.createsPerDay, day, n, 'creates_day')
    if (user.open + user.openSince + n > values.openVideos) {
      user.wantsOpen = true
      throw exceeded('openVideos', values.openVideos, user.open + user.openSince, 5)
    }
    minute.mine += n
    day.mine += n
    user.openSince += n
    user.wantsOpen = true
    return (back) => {
      minute.mine -= back
      day.mine -= back
      user.openSince = Math.max(0, user.openSince - back)
    }
  }

  #require(name: LimitName, limit: number, { known, mine }: Count, n: number, kind: UsageKind) {
    if (known + mine + n <= limit) return
    throw exceeded(name, limit, known + mine, Math.ceil(this.#untilNext(kind) / 1000))
  }

  valuesOf(userId: string): LimitValues {
    return this.#user(userId).values
  }

  nameOf(userId: string): Promise<string | null> {
    return this.#store.userName(userId)
  }

  /** What is used of the limits that are counted here. */
  async usedBy(userId: string) {
    await this.#readOpen([userId])
    const user = this.#user(userId)
    const used = (kind: UsageKind) => {
      const { known, mine } = this.#count(user, kind)
      return known + mine
    }
    return {
      requestsPerMinute: used('requests'),
      createsPerMinute: used('creates_minute'),
      createsPerDay: used('creates_day'),
      openVideos: user.open + user.openSince,
    }
  }

  #user(id: string): User {
    const found = this.#users.get(id)
    if (found) {
      found.usedAt = this.#clock.now()
      return found
    }
    const made: User = {
      counts: new Map(),
      open: 0,
      openSince: 0,
      wantsOpen: false,
      values: this.#defaults,
      usedAt: this.#clock.now(),
    }
    this.#users.set(id, made)
    return made
  }

  #windowOf(kind: UsageKind): number {
    return Math.floor((this.#clock.now() + this.#offsetMs) / windowMs[kind])
  }

  #untilNext(kind: UsageKind): number {
    const ms = windowMs[kind]
    return ms - ((this.#clock.now() + this.#offsetMs) % ms)
  }

  /** The time is another than was thought: what is counted now, counts in the window it is in. */
  #setOffset(offsetMs: number): void {
    const before = kinds.map((kind) => [kind, this.#windowOf(kind)] as const)
    this.#offsetMs = offsetMs
    for (const { counts } of this.#users.values())
      for (const [kind, window] of before) {
        const count = counts.get(kind)
        if (count?.window === window) count.window = this.#windowOf(kind)
      }
  }

  #count(user: User, kind: UsageKind): Count {
    const window = this.#windowOf(kind)
    let count = user.counts.get(kind)
    if (!count || count.window !== window)
      user.counts.set(kind, (count = { window, known: 0, mine: 0 }))
    return count
  }

  async #flush(): Promise<void> {
    const now = this.#clock.now()
    const told: { usage: Usage; count: Count }[] = []
    for (const [userId, user] of this.#users) {
      if (now - user.usedAt > idleMs) this.#users.delete(userId)
      for (const kind of kinds) {
        const count = user.counts.get(kind)
        if (count?.mine && count.window === this.#windowOf(kind))
          told.push({ usage: { userId, kind, used: count.mine }, count })
      }
    }
    if (told.length === 0) return
    const { sums, nowMs } = await this.#store.add(told.map((one) => one.usage))
    if (now - this.#forgotAt > minuteMs) {
      this.#forgotAt = now
      await this.#store.forget()
    }
    const offsetMs = nowMs - this.#clock.now()
    if (Math.abs(offsetMs - this.#offsetMs) > clockSlackMs) this.#setOffset(offsetMs)
    for (const { usage, count } of told) {
      const sum = sums.find((one) => one.userId === usage.userId && one.kind === usage.kind)
      // the sum is of Postgres' window, which may be another than was thought
      count.window = this.#windowOf(usage.kind)
      count.mine -= usage.used
      count.known = sum?.used ?? count.known + usage.used
    }
    const active = [...new Set(told.map((one) => one.usage.userId))]
    for (const [id, exceptions] of await this.#store.exceptions(active)) {
      const given = limitsSchema.partial().safeParse(exceptions ?? {})
      const user = this.#users.get(id)
      if (user) user.values = limitsSchema.parse({ ...this.#defaults, ...defined(given.data) })
    }
    await this.#readOpen(active.filter((id) => this.#users.get(id)?.wantsOpen))
  }

  async #readOpen(ids: string[]): Promise<void> {
    if (ids.length === 0) return
    const before = new Map(ids.map((id) => [id, this.#user(id).openSince]))
    const most = Math.max(...ids.map((id) => this.#user(id).values.openVideos)) + 1
    for (const [id, open] of await this.#store.openVideos(ids, most)) {
      const user = this.#user(id)
      user.open = open
      user.openSince = Math.max(0, user.openSince - (before.get(id) ?? 0))
      user.wantsOpen = false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#flushing
    await this.#flush().catch(() => {})
  }
}

const defined = (given: object = {}) =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
