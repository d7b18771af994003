/**
 * When videos are asked for: each at its time, at its account's turn, within its account's budget.
 * No account holds up another one: each has a share of the queries that may be open at once, and
 * every query has one bound, whatever drips. Videos of one account that are due together are one
 * query, where the provider can be asked so. Nothing is sent unless the session is trusted at that
 * moment.
 *
 * A video is polled once at a time. Polls whose reports are not stored are bounded: where storing
 * takes long, polling slows down.
 */
import type { TaskAnswer } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { FairSlots, sharedByHalf, type Slot as QuerySlot } from '#libs/runtime/fair-slots.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Budget } from '#libs/provider/query-budget.ts'
import type { Hosted } from './hosted.ts'
import { OpenQueries } from './open-queries.ts'
import { AccountBatcher, noneFor, query } from './queries.ts'
import { TimerQueue } from './timer-queue.ts'

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
   * Null: the query of many left it out. Resolves when what follows from the answer is stored; it
   * schedules the next poll.
   */
  answered(video: Hosted, answer: TaskAnswer | null): Promise<void>
}

/**
 * For each query that may be open, so many polls may wait until their reports are stored: bounded
 * memory.
 */
const unstoredPerQuery = 25
/** While the session is not trusted, or too much is not stored, it looks again so soon. */
export const lookAgainMs = 250

export class Polls {
  readonly #options: PollsOptions
  readonly #host: PollsHost
  readonly #queue: TimerQueue<Hosted>
  readonly #slots: FairSlots
  readonly #open: OpenQueries
  readonly #batcher = new AccountBatcher<Hosted>((videos) => this.#await(videos))
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
    this.#slots.close()
    if (this.#inHand === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#whenIdle = resolve))
  }

  #hasRoom(): boolean {
    return this.#inHand < this.#options.concurrency * (1 + unstoredPerQuery)
  }

  #due(video: Hosted): void {
    if (!this.#options.isLeaseValid()) return this.schedule(video, lookAgainMs)
    video.polling = true
    const most = video.account.provider?.mostAtOnce(video.account) ?? 1
    if (most === 1 || video.isAlone) return this.#await([video])
    this.#batcher.add(video, most)
  }

  /** For the account's turn. */
  #await(videos: Hosted[]): void {
    this.#slots.enter(videos[0]!.account.id, (slot) => this.#begin(videos, slot))
  }

  /** One query for videos of one account: now, or when its budget allows. */
  #begin(waited: Hosted[], slot: QuerySlot): void {
    const { clock, lateness, isLeaseValid } = this.#options
    const videos = waited.filter((video) => video.isHosted)
    const wait = !isLeaseValid() || !this.#hasRoom() ? lookAgainMs : this.#waitForBudget(videos)
    if (videos.length === 0 || wait > 0) {
      this.#slots.leave(slot)
      for (const video of videos) {
        video.polling = false
        this.schedule(video, wait)
      }
      return
    }
    for (const video of videos) {
      video.slot = null
      lateness?.observe(Math.max(0, clock.now() - video.nextPollAt) / 1000)
    }
    this.#inHand++
    void this.#poll(videos, slot).finally(() => this.#done())
  }

  /** Milliseconds until the account's budget allows for the query; the call is reserved then. */
  #waitForBudget(videos: Hosted[]): number {
    const { budget, clock } = this.#options
    const [first] = videos
    if (!first) return 0
    const slot = budget.reserve(
      first.account,
      videos.map((video) => video.slot),
    )
    for (const video of videos) video.slot = slot
    return Math.max(0, slot.at - clock.now())
  }

  #done(): void {
    this.#inHand--
    if (this.#inHand === 0) this.#whenIdle?.()
    this.#queue.wake()
  }

  async #poll(videos: Hosted[], slot: QuerySlot): Promise<void> {
    const { budget, intervalMs, isLeaseValid, log } = this.#options
    const { account } = videos[0]!
    const { answers, rateLimit } = await this.#open.run(
      (control) => query(videos, control, log),
      () => isLeaseValid() && videos.some((video) => video.isHosted),
      () => noneFor(videos, 'no end of the answer in time'),
    )
    this.#slots.leave(slot)
    crashPoint('poll-answered')
    if (rateLimit) budget.learn(account, rateLimit)
    const refused = answers.find((answer) => answer?.kind === 'later')
    if (refused?.kind === 'later') budget.pause(account, refused.retryAfterMs ?? intervalMs)
    if (videos.length === 1) return this.#answered(videos[0]!, answers[0] ?? null)
    await Promise.all(videos.map((video, i) => this.#answered(video, answers[i] ?? null)))
  }

  async #answered(video: Hosted, answer: TaskAnswer | null): Promise<void> {
    const { log, intervalMs } = this.#options
    try {
      await this.#host.answered(video, answer)
    } catch (err) {
      log.error({ err, video: video.id }, 'poll failed unexpectedly')
      this.schedule(video, intervalMs)
    }
    video.polling = false
  }
}
