/**
 * When videos are asked for: each at its time, at its user's turn, within its account's budget, of
 * which each user has a share. No account holds up another one: each has a share of the queries
 * that may be open at once, and every query has one bound, whatever drips. Videos of one account
 * that are due together are one query, where the provider can be asked so. Nothing is sent unless
 * the session is trusted at that moment. A video is polled once at a time, and polls whose reports
 * are not stored are bounded: where storing takes long, polling slows down.
 */
import type { TaskAnswer } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { FairSlots, sharedByHalf, type Slot as QuerySlot } from '#libs/runtime/fair-slots.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { countingFurther, type Budget, type Slot } from '#libs/provider/query-budget.ts'
import type { PolledAccount } from './accounts.ts'
import type { Hosted } from './hosted.ts'
import { OpenQueries } from './open-queries.ts'
import { noneFor, query } from './queries.ts'
import { tickOf, TimerQueue } from './timer-queue.ts'
import { DueTurns } from './due-turns.ts'

export interface PollsOptions {
  clock: Clock
  log: Logger
  budget: Budget
  intervalMs: number
  /** Queries open at once; one account has at most half of them. */
  concurrency: number
  /** Of a whole query, in milliseconds. */
  queryTimeoutMs: number
  isLeaseValid(): boolean
  /** Told by how many seconds each poll was late. */
  lateness?: { observe(seconds: number): void }
}

/** What the host does with them. */
export interface PollsHost {
  /**
   * Null: the query of many left it out. Nothing where nothing is to be stored, else resolves when
   * what follows from the answer is stored; it schedules the next poll.
   */
  answered(video: Hosted, answer: TaskAnswer | null): void | Promise<void>
}

/** For each query that may be open, so many polls may wait for their reports to be stored. */
const unstoredPerQuery = 25
/** While the session is not trusted, or too much is not stored, it looks again so soon. */
export const lookAgainMs = 250

/** An account's videos that are due. */
interface Line {
  readonly account: PolledAccount
  /** Videos in one query; less once a query of many was of no use. */
  most: number
  readonly turns: DueTurns<Hosted>
  /** Reserved of its budget: those of one tick, so that one waking serves them all. */
  slots: Slot[]
  /** Those for whom a slot of the queries that may be open at once is asked for. */
  readonly entering: Set<string>
  /** It goes on then; null: it waits for no instant. */
  wakeAt: number | null
  /** Until when the budget had it wait: no poll was late before. */
  allowedAt: number
}

export class Polls {
  readonly #options: PollsOptions
  readonly #host: PollsHost
  readonly #queue: TimerQueue<Hosted>
  /** Of accounts that are or were polled; nobody lists them, so they go with their account. */
  readonly #lines = new WeakMap<PolledAccount, Line>()
  readonly #wakings: TimerQueue<Line>
  readonly #slots: FairSlots
  readonly #open: OpenQueries
  /** Polls until their reports are stored. */
  #inHand = 0
  #whenIdle: (() => void) | undefined

  constructor(options: PollsOptions, host: PollsHost) {
    const { clock } = options
    this.#options = options
    this.#host = host
    this.#slots = new FairSlots(sharedByHalf(options.concurrency, clock))
    this.#open = new OpenQueries(clock, options.queryTimeoutMs)
    const due = (video: Hosted, at: number) => {
      if (video.nextPollAt === at && video.isHosted && !video.polling) this.#due(video)
    }
    this.#queue = new TimerQueue(clock, due, () => this.#hasRoom())
    this.#wakings = new TimerQueue(clock, (line, at) => {
      if (line.wakeAt !== at) return
      line.wakeAt = null
      this.#goOn(line)
    })
  }

  schedule(video: Hosted, delayMs: number): void {
    video.nextPollAt = this.#options.clock.now() + delayMs
    this.#queue.add(video, video.nextPollAt)
  }

  /** Without waiting for a tick. */
  askNow(video: Hosted): void {
    video.nextPollAt = this.#options.clock.now()
    this.#due(video)
  }

  /** Polls no more, and resolves when nothing is in hand. */
  stop(): Promise<void> {
    this.#queue.stop()
    this.#wakings.stop()
    this.#slots.close()
    if (this.#inHand === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#whenIdle = resolve))
  }

  #hasRoom(): boolean {
    return this.#inHand < this.#options.concurrency * (1 + unstoredPerQuery)
  }

  #due(video: Hosted): void {
    if (video.isWaiting) return
    if (!this.#options.isLeaseValid()) return this.schedule(video, lookAgainMs)
    video.isWaiting = true
    const line = this.#lineOf(video.account)
    line.turns.add(video)
    line.most = video.account.provider?.mostAtOnce(video.account) ?? 1
    if (line.most === 1) this.#goOn(line)
    // together with what else is due in this turn of the event loop
    else if (line.turns.size === 1) queueMicrotask(() => this.#goOn(line))
  }

  #lineOf(account: PolledAccount): Line {
    const known = this.#lines.get(account)
    if (known) return known
    const waits = { entering: new Set<string>(), wakeAt: null, allowedAt: -Infinity }
    const line: Line = { account, most: 1, turns: new DueTurns<Hosted>(), slots: [], ...waits }
    this.#lines.set(account, line)
    return line
  }

  /** As many queries as may be open, and as its budget allows now. */
  #goOn(line: Line): void {
    while (line.wakeAt === null) {
      const userId = line.turns.userBeside(line.entering)
      if (userId === undefined) break
      line.entering.add(userId)
      let isNow = true
      const begin = (slot: QuerySlot) => {
        line.entering.delete(userId)
        this.#begin(line, slot)
        if (!isNow) this.#goOn(line)
      }
      this.#slots.enter(line.account.id, begin, userId)
      isNow = false
    }
    if (line.slots.length > 0 && !line.turns.hasNext()) line.slots = []
  }

  /** One query, for those whose turn it is; or none yet. */
  #begin(line: Line, querySlot: QuerySlot): void {
    const { clock, lateness, isLeaseValid } = this.#options
    if (line.wakeAt !== null || !line.turns.hasNext()) return this.#slots.leave(querySlot)
    const mayAsk = isLeaseValid() && this.#hasRoom()
    const slot = mayAsk ? this.#reserve(line) : null
    if (!slot?.used) {
      line.wakeAt = slot?.at ?? clock.now() + lookAgainMs
      if (slot) line.allowedAt = slot.at
      this.#wakings.add(line, line.wakeAt)
      return this.#slots.leave(querySlot)
    }
    const videos = line.turns.next(line.most)
    const now = clock.now()
    for (const video of videos) {
      video.isWaiting = false
      video.polling = true
      lateness?.observe(Math.max(0, now - Math.max(video.nextPollAt, line.allowedAt)) / 1000)
    }
    this.#inHand++
    void this.#poll(videos, querySlot).finally(() => this.#done())
  }

  /** The next call of the account's budget: used, or the instant at which it may be made. */
  #reserve(line: Line): Slot {
    const { budget } = this.#options
    const slot = budget.reserve(line.account, line.slots)
    if (line.slots.length > 0)
      line.slots = line.slots.filter((one) => one !== slot && one.pause === slot.pause)
    if (slot.used) return slot
    line.slots.unshift(slot)
    while (line.slots.length < line.turns.size && line.slots.at(-1)!.at <= tickOf(slot.at))
      line.slots.push(budget.reserve(line.account, []))
    return slot
  }

  #done(): void {
    this.#inHand--
    if (this.#inHand === 0) this.#whenIdle?.()
    this.#queue.wake()
  }

  async #poll(videos: Hosted[], slot: QuerySlot): Promise<void> {
    const { budget, intervalMs, isLeaseValid, log } = this.#options
    const { account } = videos[0]!
    const mayAsk = () => isLeaseValid() && videos.some((video) => video.isHosted)
    const { answers, rateLimit } = await this.#open.run(
      (control) => query(videos, control, log),
      // rule: what a poll asks again is a query of its account
      countingFurther(mayAsk, () => budget.take(account)),
      () => noneFor(videos, 'no end of the answer in time'),
    )
    this.#slots.leave(slot)
    crashPoint('poll-answered')
    if (rateLimit) budget.learn(account, rateLimit)
    const refused = answers.find((answer) => answer?.kind === 'later')
    if (refused?.kind === 'later') budget.pause(account, refused.retryAfterMs ?? intervalMs)
    const storing: Promise<void>[] = []
    for (const [i, video] of videos.entries()) {
      const stored = this.#answered(video, answers[i] ?? null)
      if (stored) storing.push(stored)
    }
    if (storing.length) await Promise.all(storing)
  }

  /** Most answers say nothing new: no promise is made for them. */
  #answered(video: Hosted, answer: TaskAnswer | null): Promise<void> | undefined {
    try {
      const stored = this.#host.answered(video, answer)
      if (stored) return this.#stored(video, stored)
    } catch (err) {
      this.#failed(video, err)
    }
    video.polling = false
    return undefined
  }

  async #stored(video: Hosted, stored: Promise<void>): Promise<void> {
    try {
      await stored
    } catch (err) {
      this.#failed(video, err)
    }
    video.polling = false
  }

  #failed(video: Hosted, err: unknown): void {
    const { log, intervalMs } = this.#options
    log.error({ err, video: video.id }, 'poll failed unexpectedly')
    this.schedule(video, intervalMs)
  }
}
