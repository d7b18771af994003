/**
 * How much a user may do, over all its keys and all gateways: requests and creates a minute,
 * creates a day, videos open at once, API keys. Each gateway counts by itself and tells Postgres
 * once a second what it counted, and hears the sums and the operator's exceptions; a request of a
 * user of whom it has heard nothing for a second waits for them first. So a limit may be passed by
 * what others took within a second, and a change counts after one. While Postgres is away each
 * counts alone.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { Looks } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Standing, Usage, UsageKind, UsageStore } from '#libs/store/usage.ts'
import { kinds, minuteMs, Windows, type Count } from './limit-windows.ts'
import { exceeded, limitsSchema, type LimitName, type LimitValues } from './limit-values.ts'

const flushMs = 1_000
/** What is older is read again before it is judged by. */
const freshMs = 1_000
/** Users that did nothing for so long are forgotten. */
const idleMs = 10 * minuteMs

interface User {
  counts: Map<UsageKind, Count>
  /** Admitted ever, and the two newest readings of how many are open. */
  admitted: number
  readings: { open: number; admitted: number }[]
  openReadAt: number
  wantsOpen: boolean
  values: LimitValues
  readAt: number
  reading: Promise<void> | null
  /** Changes while what was counted is being told: sums read meanwhile may lack it. */
  telling: number
  usedAt: number
}

export class Limits implements AsyncDisposable {
  readonly #defaults: LimitValues
  readonly #store: UsageStore
  readonly #clock: Clock
  readonly #users = new Map<string, User>()
  readonly #flushing: Looks
  readonly #windows: Windows
  #forgotAt = -Infinity

  constructor(defaults: LimitValues, store: UsageStore, parts: { clock: Clock; log: Logger }) {
    const { clock, log } = parts
    this.#defaults = defaults
    this.#store = store
    this.#clock = clock
    this.#windows = new Windows(clock)
    const onError = (err: unknown) => log.warn({ err }, 'usage of limits not told')
    const times = { clock, everyMs: flushMs, idleMs: minuteMs }
    this.#flushing = new Looks({ ...times, onError }, () => this.#flush())
  }

  /** Before a request is judged. @throws where Postgres is away and the user is not known yet */
  async refresh(userId: string): Promise<void> {
    const user = this.#user(userId)
    this.#flushing.wake()
    if (this.#clock.now() - user.readAt < freshMs) return
    user.reading ??= this.#hear([userId], () => this.#store.standing(userId)).finally(() => {
      user.reading = null
    })
    await user.reading.catch((err: unknown) => {
      if (user.readAt === -Infinity) throw err
    })
  }

  /** For @fastify/rate-limit: counts a request; how many there were, and when the window ends. */
  countRequest(userId: string): { current: number; ttl: number; limit: number } {
    const user = this.#user(userId)
    const count = this.#count(user, 'requests')
    count.mine++
    return {
      current: count.known + count.mine,
      ttl: this.#windows.untilNext('requests'),
      limit: user.values.requestsPerMinute,
    }
  }

  /**
   * Counts what will be paid for. The returned function takes so much of it back, as was not made.
   * @throws Problem 429 that names what is exceeded
   */
  async admitCreates(userId: string, n = 1): Promise<(back: number) => void> {
    const user = this.#user(userId)
    if (this.#clock.now() - user.openReadAt >= freshMs)
      await this.#readOpen([userId]).catch(() => {})
    const { values } = user
    const minute = this.#count(user, 'creates_minute')
    const day = this.#count(user, 'creates_day')
    this.#require('createsPerMinute', values.createsPerMinute, minute, n, 'creates_minute')
    this.#require('createsPerDay', values.createsPerDay, day, n, 'creates_day')
    const open = this.#open(user)
    if (open + n > values.openVideos) {
      user.wantsOpen = true
      throw exceeded('openVideos', values.openVideos, open, 5)
    }
    minute.mine += n
    day.mine += n
    user.admitted += n
    user.wantsOpen = true
    return (back) => {
      minute.mine -= back
      day.mine -= back
      user.admitted -= back
    }
  }

  #require(name: LimitName, limit: number, { known, mine }: Count, n: number, kind: UsageKind) {
    if (known + mine + n <= limit) return
    throw exceeded(name, limit, known + mine, Math.ceil(this.#windows.untilNext(kind) / 1000))
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
      openVideos: this.#open(user, 1),
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
      admitted: 0,
      readings: [{ open: 0, admitted: 0 }],
      openReadAt: -Infinity,
      wantsOpen: false,
      values: this.#defaults,
      readAt: -Infinity,
      reading: null,
      telling: 0,
      usedAt: this.#clock.now(),
    }
    this.#users.set(id, made)
    return made
  }

  /** What was on its way during one reading may be missing there, but not in the one before. */
  #open({ admitted, readings }: User, newest = 2): number {
    const since = readings
      .slice(-newest)
      .map((one) => one.open + Math.max(0, admitted - one.admitted))
    return Math.max(0, ...since)
  }

  #count(user: User, kind: UsageKind): Count {
    return this.#windows.count(user.counts, kind)
  }

  /** Whether there was anything to tell. */
  async #flush(): Promise<boolean> {
    const now = this.#clock.now()
    const told: { usage: Usage; count: Count; user: User }[] = []
    for (const [userId, user] of this.#users) {
      if (now - user.usedAt > idleMs) this.#users.delete(userId)
      for (const kind of kinds) {
        const count = user.counts.get(kind)
        if (count?.mine && count.window === this.#windows.current(kind))
          told.push({ usage: { userId, kind, used: count.mine }, count, user })
      }
    }
    if (told.length === 0) return false
    for (const { user } of told) user.telling++
    await this.#store.add(told.map((one) => one.usage))
    for (const { usage, count, user } of told) {
      count.mine -= usage.used
      count.known += usage.used
      user.telling++
    }
    if (now - this.#forgotAt > minuteMs) {
      this.#forgotAt = now
      await this.#store.forget()
    }
    const active = [...new Set(told.map((one) => one.usage.userId))]
    await this.#hear(active, () => this.#store.standings(active))
    await this.#readOpen(active.filter((id) => this.#users.get(id)?.wantsOpen))
    return true
  }

  /** What all gateways counted, and what the operator said. */
  async #hear(ids: string[], read: () => Promise<Map<string, Standing>>): Promise<void> {
    const users = ids.map((id) => ({ id, user: this.#user(id), telling: this.#user(id).telling }))
    const readAt = this.#clock.now()
    const found = await read()
    for (const { id, user, telling } of users) {
      user.readAt = readAt
      const one = found.get(id)
      if (!one) continue
      this.#windows.setTime(one.nowMs, this.#users.values())
      const given = limitsSchema.partial().safeParse(one.limits ?? {})
      user.values = limitsSchema.parse({ ...this.#defaults, ...defined(given.data) })
      if (user.telling !== telling) continue
      for (const kind of kinds) this.#count(user, kind).known = one.used[kind] ?? 0
    }
  }

  async #readOpen(ids: string[]): Promise<void> {
    if (ids.length === 0) return
    const readAt = this.#clock.now()
    const before = new Map(ids.map((id) => [id, this.#user(id).admitted]))
    const most = Math.max(...ids.map((id) => this.#user(id).values.openVideos)) + 1
    for (const [id, open] of await this.#store.openVideos(ids, most)) {
      const user = this.#user(id)
      user.readings = [...user.readings.slice(-1), { open, admitted: before.get(id) ?? 0 }]
      user.wantsOpen = this.#open(user) > this.#open(user, 1)
      user.openReadAt = readAt
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#flushing[Symbol.asyncDispose]()
    await this.#flush().catch(() => {})
  }
}

const defined = (given: object = {}) =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
