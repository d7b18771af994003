/**
 * Hosts the machine of every owned video and polls each in its time.
 *
 * It acts only while its session is trusted: before a poll, and again before reporting what the
 * poll said. Every report carries attempt, epoch and number. An answer that changes nothing does
 * not wake the statechart and reports nothing, but for a sign of life every 45 s. Where the
 * provider can be asked for many tasks at once, those of one account that are due together are one
 * query. A report that cannot be stored is kept (the newest state of the video) and sent again.
 * Queries under way are bounded, and so are polls whose reports are not stored: where that takes
 * long, polling slows down.
 */
import type { Bus } from '#libs/bus/bus.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import { advance, isNoop, type VideoState, type VideoSignal } from '#libs/scene-video/machine.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import type { Change, Grant, Report } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { adaptiveInterval, afterAnswer, afterClaim, afterMiss, afterThrottle } from './schedule.ts'
import { Accounts, type PolledAccount } from './accounts.ts'
import type { Budget, Slot } from './budget.ts'
import { Batcher, query } from './queries.ts'
import { Reporter } from './reporter.ts'
import { TimerQueue } from './timer-queue.ts'

const signOfLifeMs = 45_000
const reportAgainMs = 500
/**
 * For each query that may be under way, so many polls may wait until their reports are stored:
 * bounded memory.
 */
const unstoredPerQuery = 25
/** Misses in a row before a video is shown as retrying. */
const missesToShow = 2
/** So often in a row done without a usable result, and it is the end. */
const unusableToEnd = 3

/** All that is kept of a video between two polls. */
export interface Hosted {
  readonly id: string
  readonly attempt: number
  readonly epoch: string
  readonly taskId: string
  readonly account: PolledAccount
  standing: VideoState
  no: number
  nextPollAt: number
  /**
   * The slot of the account's budget that is reserved for the next poll; videos that are asked for
   * together share one.
   */
  slot: Slot | null
  reportedAt: number
  misses: number
  /** How often in a row it was called done without a usable result. */
  unusable: number
  /** Left out by a query of many: asked alone the next time. */
  isAlone: boolean
  polling: boolean
  cancel: boolean
  ended: boolean
  readonly overdueAt: number
  readonly endsAt: number
  readonly endsByDeadline: boolean
}

export interface HostOptions {
  bus: Bus
  clock: Clock
  log: Logger
  provider: Provider
  budget: Budget
  intervalMs: number
  /** Ask less often while queued and far from the end, more often near it. */
  adaptive?: boolean
  /** Queries under way at once. */
  concurrency: number
  keyEncryptionKey: Keyring
  isTrusted(): boolean
  /** The video has ended and its end is reported: give up the lease. */
  onEnded(id: string, epoch: bigint): void
  polls: CounterLike<'answer'>
  /** Told by how many seconds each poll was late. */
  lateness?: { observe(seconds: number): void }
}

export class Host {
  readonly videos = new Map<string, Hosted>()
  readonly #o: HostOptions
  readonly #queue: TimerQueue<Hosted>
  readonly #accounts: Accounts
  readonly #reporter: Reporter
  readonly #gathering = new Batcher<Hosted>((videos) => this.#ask(videos))
  /** Queries under way; and polls until their reports are stored. */
  #asked = 0
  #inHand = 0
  #whenIdle: (() => void) | undefined

  constructor(options: HostOptions) {
    this.#o = options
    this.#accounts = new Accounts(options.keyEncryptionKey)
    this.#reporter = new Reporter(options.bus, options.clock)
    const due = (video: Hosted, at: number) => {
      if (video.nextPollAt === at && this.#isHosted(video) && !video.polling) this.#turn(video)
    }
    this.#queue = new TimerQueue(
      options.clock,
      due,
      () =>
        this.#asked < options.concurrency &&
        this.#inHand < options.concurrency * (1 + unstoredPerQuery),
    )
  }

  /** Begins to poll a video whose claim status has committed; after `dueInMs`, or soon. */
  adopt(grant: Grant, dueInMs?: number): void {
    const { clock, provider, intervalMs, log } = this.#o
    if (this.videos.has(grant.id)) return
    const now = clock.now()
    const lifeEnds = provider.resultLifeMs - grant.sinceSubmittedMs
    const endsByDeadline = grant.untilDeadlineMs !== null && grant.untilDeadlineMs < lifeEnds
    const video: Hosted = {
      id: grant.id,
      attempt: grant.attempt,
      epoch: grant.epoch,
      taskId: grant.taskId,
      account: this.#accounts.of(grant.baseUrl, grant.keyCipher),
      standing: {
        status: grant.status,
        phase: grant.phase,
        progress: grant.progress,
        slow: grant.phase === 'overdue' || grant.sinceSubmittedMs >= provider.expectedMs,
      },
      no: grant.reportNo,
      nextPollAt: 0,
      slot: null,
      reportedAt: now,
      misses: 0,
      unusable: 0,
      isAlone: false,
      polling: false,
      cancel: grant.cancelRequested,
      ended: false,
      overdueAt: now + provider.expectedMs - grant.sinceSubmittedMs,
      endsAt: now + (endsByDeadline ? grant.untilDeadlineMs! : lifeEnds),
      endsByDeadline,
    }
    this.videos.set(grant.id, video)
    this.#schedule(video, dueInMs ?? afterClaim(intervalMs, this.videos.size, clock.random()))
    log.info(
      { video: grant.id, taskId: grant.taskId, epoch: grant.epoch },
      `Started polling for ${grant.id} (taskId: ${grant.taskId})`,
    )
  }

  /** Polls at once, if we host it. */
  nudge(id: string, reason: string): void {
    const video = this.videos.get(id)
    if (!video) return
    if (reason === 'cancel') video.cancel = true
    if (!video.polling) this.#schedule(video, 0)
  }

  /** Forgets everything without a word: it is ours no more. */
  dropAll(): void {
    this.videos.clear()
  }

  drop(id: string): void {
    this.videos.delete(id)
  }

  /** Gives up to `count` videos away, those due last first; none that is being polled. */
  releaseForHandoff(count: number): { id: string; epoch: string; dueInMs: number }[] {
    const now = this.#o.clock.now()
    const idle = [...this.videos.values()]
      .filter((video) => !video.polling)
      .toSorted((a, b) => b.nextPollAt - a.nextPollAt)
    return idle.slice(0, count).map(({ id, epoch, nextPollAt }) => {
      // rule: what is given away is not polled any more
      this.drop(id)
      return { id, epoch, dueInMs: Math.max(0, nextPollAt - now) }
    })
  }

  /**
   * Stops polling and waits, at most `ms`, for the polls and reports in hand. What is hosted stays
   * listed.
   */
  async drain(ms: number): Promise<void> {
    this.#queue.stop()
    if (this.#inHand === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#whenIdle = resolve
    await Promise.race([promise, sleep(ms, undefined, this.#o.clock)])
  }

  #isHosted(video: Hosted): boolean {
    return this.videos.get(video.id) === video
  }

  /**
   * Its end waits for no budget: a provider that has us wait for an hour does not put off a
   * deadline or a cancel.
   */
  #mustEnd(video: Hosted): boolean {
    return video.cancel || this.#o.clock.now() >= video.endsAt
  }

  #schedule(video: Hosted, delay: number): void {
    video.nextPollAt = this.#o.clock.now() + delay
    this.#queue.add(video, video.nextPollAt)
  }

  #turn(video: Hosted): void {
    if (!this.#o.isTrusted()) return this.#schedule(video, 250)
    video.polling = true
    const most = this.#o.provider.mostAtOnce(video.account)
    if (most === 1 || video.isAlone || this.#mustEnd(video)) return this.#ask([video])
    this.#gathering.add(video, most)
  }

  /** One query for videos of one account: now, or when its budget allows. */
  #ask(videos: Hosted[]): void {
    const { clock, lateness, budget } = this.#o
    const slot = budget.reserve(
      videos[0]!.account.id,
      videos.map((video) => video.slot),
    )
    const wait = Math.max(0, slot.at - clock.now())
    if (wait > 0 && !this.#mustEnd(videos[0]!)) {
      for (const video of videos) {
        video.slot = slot
        video.polling = false
        this.#schedule(video, Math.min(wait, Math.max(1, video.endsAt - clock.now())))
      }
      return
    }
    for (const video of videos) {
      video.slot = null
      lateness?.observe(Math.max(0, clock.now() - video.nextPollAt) / 1000)
    }
    this.#asked++
    this.#inHand++
    void this.#poll(videos, wait).finally(() => this.#done())
  }

  #done(): void {
    this.#inHand--
    if (this.#inHand === 0) this.#whenIdle?.()
    this.#queue.wake()
  }

  async #poll(videos: Hosted[], wait: number): Promise<void> {
    const { budget, clock, intervalMs } = this.#o
    const account = videos[0]!.account
    const { answers, rateLimit } =
      wait > 0
        ? {
            answers: videos.map((): TaskAnswer => ({ kind: 'later', retryAfterMs: wait })),
            rateLimit: null,
          }
        : await query(this.#o.provider, videos, this.#o.log)
    this.#asked--
    this.#queue.wake()
    crashPoint('poll-answered')
    if (rateLimit) budget.learn(account.id, rateLimit)
    const refused = answers.find((answer) => answer?.kind === 'later')
    if (wait === 0 && refused?.kind === 'later')
      budget.pause(account.id, refused.retryAfterMs ?? intervalMs)
    await Promise.all(
      videos.map(async (video, i) => {
        let delay: number
        try {
          delay = await this.#answered(video, answers[i] ?? null)
        } catch (err) {
          this.#o.log.error({ err, video: video.id }, 'poll failed unexpectedly')
          delay = intervalMs
        }
        video.polling = false
        if (!video.ended && this.#isHosted(video))
          this.#schedule(video, Math.min(delay, Math.max(1, video.endsAt - clock.now())))
      }),
    )
  }

  /** The delay to the next poll. */
  async #answered(video: Hosted, answer: TaskAnswer | null): Promise<number> {
    video.isAlone = answer === null
    if (answer === null) return 0
    this.#o.polls.inc({ answer: answer.kind })
    if (!this.#isHosted(video)) return 0
    return this.#o.isTrusted() ? this.#act(video, answer) : 250
  }

  /** What an answer means; the delay to the next poll. */
  async #act(video: Hosted, answer: TaskAnswer): Promise<number> {
    const { intervalMs, log, clock } = this.#o
    let delay = 0
    const answered = answer.kind === 'working' || answer.kind === 'unknown'
    video.unusable = answer.kind === 'unusable' ? video.unusable + 1 : 0
    // rule: done without a result is unknown first, then the end
    const isUnusable = answer.kind === 'unusable' && video.unusable >= unusableToEnd
    video.misses =
      answered || answer.kind === 'unusable' || answer.kind === 'later' ? 0 : video.misses + 1
    if (answer.kind === 'done')
      await this.#signal(video, {
        type: 'DONE',
        videoUrl: answer.videoUrl,
        videoUrlExpiresAt: answer.expiresAt,
      })
    else if (answer.kind === 'failed' || isUnusable) {
      if (video.standing.status === 'pending')
        // a first poll was answered: recorded as such
        await this.#signal(video, { type: 'RUNNING', progress: null })
      await this.#signal(video, { type: 'FAILED', error: answer.error })
    } else if (answer.kind === 'working')
      await this.#signal(video, {
        type: answer.phase === 'queued' ? 'QUEUED' : 'RUNNING',
        progress: answer.progress,
      })
    else if (answer.kind === 'unknown' || answer.kind === 'unusable')
      log.error(
        { video: video.id, body: answer.body },
        'The provider answered in words unknown to us; polling on',
      )
    else if (answer.kind === 'later') {
      delay = afterThrottle(intervalMs, answer.retryAfterMs, clock.random())
      await this.#signal(video, { type: 'THROTTLED' })
    } else {
      delay = afterMiss(intervalMs, video.misses, clock.random())
      log.warn(
        {
          video: video.id,
          misses: video.misses,
          reason: answer.kind === 'none' ? answer.reason : answer.kind,
        },
        'No answer to a poll',
      )
      if (video.misses >= missesToShow) await this.#signal(video, { type: 'MISSED' })
    }
    if (video.ended || !this.#isHosted(video)) return 0
    if (clock.now() >= video.endsAt)
      await this.#signal(video, { type: 'FAILED', error: timedOut(video) })
    else if (video.cancel)
      await this.#signal(video, {
        type: 'FAILED',
        error: {
          code: 'cancelled',
          message: 'Cancelled. The provider cannot stop a running task; it may still be billed.',
        },
      })
    else if (clock.now() >= video.overdueAt && !video.standing.slow)
      await this.#signal(video, { type: 'SLOW' })
    if (!video.ended && clock.now() - video.reportedAt >= signOfLifeMs)
      await this.#report(video, null)
    return delay || afterAnswer(this.#interval(video), clock.random())
  }

  #interval({ standing: { phase, progress }, overdueAt }: Hosted): number {
    const { adaptive, intervalMs, provider, clock } = this.#o
    return adaptive
      ? adaptiveInterval(intervalMs, {
          phase,
          progress,
          elapsed: provider.expectedMs - (overdueAt - clock.now()),
        })
      : intervalMs
  }

  async #signal(video: Hosted, signal: VideoSignal): Promise<void> {
    if (video.ended || isNoop(video.standing, signal)) return
    const { standing, change } = advance(video.standing, signal)
    video.standing = standing
    if (!change) return
    if (!(await this.#report(video, change)) || !isTerminal(change.status)) return
    crashPoint('end-reported')
    video.ended = true
    const { id, epoch } = video
    this.drop(id)
    this.#o.onEnded(id, BigInt(epoch))
    if (change.status === 'completed')
      this.#o.log.info({ video: id }, `Video generated successfully for ${id}`)
    else
      this.#o.log.info({ video: id, code: change.error?.code }, `Video generation failed for ${id}`)
    this.#o.log.info({ video: id }, `Stopped polling for ${id}`)
  }

  /**
   * Stores the report in the queue; tries again for as long as the video is ours. False when it is
   * not any more: nobody waits for our word.
   */
  async #report(video: Hosted, change: Change | null): Promise<boolean> {
    const { clock, log } = this.#o
    const { id, attempt, epoch } = video
    const report: Report = { id, attempt, epoch, no: ++video.no, change }
    for (;;) {
      try {
        await this.#reporter.store(report)
        crashPoint('report-stored')
        video.reportedAt = clock.now()
        return this.#isHosted(video)
      } catch (err) {
        if (!this.#isHosted(video)) return false
        log.warn({ err, video: id }, 'report not stored yet')
        await sleep(reportAgainMs, undefined, clock)
      }
    }
  }
}

function timedOut(video: Hosted) {
  const message = video.endsByDeadline
    ? 'The deadline passed before the video was done.'
    : 'The provider can no longer deliver it: its results’ life has passed.'
  return { code: 'timed_out' as const, message }
}
