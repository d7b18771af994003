/**
 * Hosts the machine of every owned video (libs/scene-video/machine.ts): polls each in its time,
 * sends what it saw as events, keeps the state that comes back, records the changes, executes the
 * actions. What an event means is the machine's to say.
 *
 * It acts only while its session is trusted: before a poll, and again before reporting what the
 * poll said. Every report carries attempt, epoch and number. An answer that changes nothing does
 * not wake the statechart and reports nothing. Cancel, deadline, the end of a result's life,
 * lateness and signs of life come by a timer of their own: no open query and no budget of queries
 * delays them. Where the provider can be asked for many tasks at once, those of one account that
 * are due together are one query. A report that cannot be stored is kept and sent again. Queries
 * under way are bounded, and so are polls whose reports are not stored: where that takes long,
 * polling slows down.
 */
import type { Bus } from '#libs/bus/bus.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import { advance, isNoop, phaseOf, stateOfRow, type VideoState } from '#libs/scene-video/advance.ts'
import type { VideoAction, VideoSignal } from '#libs/scene-video/signals.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import type { Change, Grant, Report } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { adaptiveInterval, afterAnswer, afterClaim, afterMiss, afterThrottle } from './schedule.ts'
import { Accounts, type PolledAccount } from './accounts.ts'
import type { Budget, Slot } from './budget.ts'
import { Batcher, query } from './queries.ts'
import { Reporter } from './reporter.ts'
import { signalOf } from './signal-of.ts'
import { TimerQueue } from './timer-queue.ts'

const signOfLifeMs = 45_000
const reportAgainMs = 500
/**
 * For each query that may be under way, so many polls may wait until their reports are stored:
 * bounded memory.
 */
const unstoredPerQuery = 25
/** While the session is not trusted, it looks again so soon. */
const untrustedMs = 250

/** All that is kept of a video between two polls. */
export interface Hosted {
  readonly id: string
  readonly attempt: number
  readonly epoch: string
  readonly taskId: string
  readonly account: PolledAccount
  state: VideoState
  no: number
  nextPollAt: number
  /**
   * The slot of the account's budget that is reserved for the next poll; videos that are asked for
   * together share one.
   */
  slot: Slot | null
  reportedAt: number
  /** Left out by a query of many: asked alone the next time. */
  isAlone: boolean
  polling: boolean
  /** Somebody asked to cancel it, and the machine was not told yet. */
  cancelRequested: boolean
  /** When its timer looks for what time alone brings. */
  watchAt: number
  /** The provider was last heard to work on it: the life of its result begins no earlier. */
  workingAt: number
  readonly overdueAt: number
  readonly deadlineAt: number
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
  readonly #watches: TimerQueue<Hosted>
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
    this.#watches = new TimerQueue(options.clock, (video, at) => {
      if (video.watchAt === at && this.#isHosted(video)) this.#watch(video)
    })
  }

  /** Begins to poll a video whose claim status has committed; after `dueInMs`, or soon. */
  adopt(grant: Grant, dueInMs?: number): void {
    const { clock, provider, intervalMs, log } = this.#o
    if (this.videos.has(grant.id)) return
    const now = clock.now()
    const video: Hosted = {
      id: grant.id,
      attempt: grant.attempt,
      epoch: grant.epoch,
      taskId: grant.taskId,
      account: this.#accounts.of(grant.baseUrl, grant.keyCipher),
      state: stateOfRow(grant, grant.sinceSubmittedMs >= provider.expectedMs),
      no: grant.reportNo,
      nextPollAt: 0,
      slot: null,
      reportedAt: now,
      isAlone: false,
      polling: false,
      cancelRequested: grant.cancelRequested,
      watchAt: 0,
      workingAt: now,
      overdueAt: now + provider.expectedMs - grant.sinceSubmittedMs,
      deadlineAt: grant.untilDeadlineMs === null ? Infinity : now + grant.untilDeadlineMs,
    }
    this.videos.set(grant.id, video)
    this.#schedule(video, dueInMs ?? afterClaim(intervalMs, this.videos.size, clock.random()))
    this.#watchFrom(video, now)
    log.info(
      { video: grant.id, taskId: grant.taskId, epoch: grant.epoch },
      `Started polling for ${grant.id} (taskId: ${grant.taskId})`,
    )
  }

  /** Polls or cancels at once, if we host it. */
  nudge(id: string, reason: string): void {
    const video = this.videos.get(id)
    if (!video) return
    // rule: an owner acts on a cancel
    if (reason === 'cancel') {
      video.cancelRequested = true
      this.#watch(video)
    } else if (!video.polling) this.#schedule(video, 0)
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
    this.#watches.stop()
    if (this.#inHand === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#whenIdle = resolve
    await Promise.race([promise, sleep(ms, undefined, this.#o.clock)])
  }

  #isHosted(video: Hosted): boolean {
    return this.videos.get(video.id) === video
  }

  /** What time alone brings, and what somebody asked for: whether or not a query is open. */
  #watch(video: Hosted): void {
    const { clock, isTrusted } = this.#o
    const now = clock.now()
    if (!isTrusted()) return this.#watchFrom(video, now + untrustedMs)
    const signal = this.#signalOfTime(video, now)
    if (signal) void this.#send(video, signal)
    // rule: an owner gives signs of life by its own timer
    else if (now >= video.reportedAt + signOfLifeMs) void this.#report(video, null)
    this.#watchFrom(video, now + 1)
  }

  #signalOfTime(video: Hosted, now: number): VideoSignal | null {
    if (video.cancelRequested) {
      video.cancelRequested = false
      return { type: 'CANCEL' }
    }
    if (now >= video.deadlineAt) return { type: 'DEADLINE' }
    if (now >= video.workingAt + this.#o.provider.resultLifeMs) return { type: 'EXPIRED' }
    return now >= video.overdueAt && !video.state.slow ? { type: 'SLOW' } : null
  }

  /** The next instant at which time alone brings something, not before `earliest`. */
  #watchFrom(video: Hosted, earliest: number): void {
    if (isTerminal(video.state.status)) return
    const next = video.cancelRequested
      ? earliest
      : Math.min(
          video.deadlineAt,
          video.workingAt + this.#o.provider.resultLifeMs,
          video.state.slow ? Infinity : video.overdueAt,
          video.reportedAt + signOfLifeMs,
        )
    video.watchAt = Math.max(earliest, next)
    this.#watches.add(video, video.watchAt)
  }

  #schedule(video: Hosted, delay: number): void {
    video.nextPollAt = this.#o.clock.now() + delay
    this.#queue.add(video, video.nextPollAt)
  }

  #turn(video: Hosted): void {
    if (!this.#o.isTrusted()) return this.#schedule(video, untrustedMs)
    video.polling = true
    const most = this.#o.provider.mostAtOnce(video.account)
    if (most === 1 || video.isAlone) return this.#ask([video])
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
    if (wait > 0) {
      for (const video of videos) {
        video.slot = slot
        video.polling = false
        this.#schedule(video, wait)
      }
      return
    }
    for (const video of videos) {
      video.slot = null
      lateness?.observe(Math.max(0, clock.now() - video.nextPollAt) / 1000)
    }
    this.#asked++
    this.#inHand++
    void this.#poll(videos).finally(() => this.#done())
  }

  #done(): void {
    this.#inHand--
    if (this.#inHand === 0) this.#whenIdle?.()
    this.#queue.wake()
  }

  async #poll(videos: Hosted[]): Promise<void> {
    const { budget, intervalMs } = this.#o
    const account = videos[0]!.account
    const { answers, rateLimit } = await query(this.#o.provider, videos, this.#o.log)
    this.#asked--
    this.#queue.wake()
    crashPoint('poll-answered')
    if (rateLimit) budget.learn(account.id, rateLimit)
    const refused = answers.find((answer) => answer?.kind === 'later')
    if (refused?.kind === 'later') budget.pause(account.id, refused.retryAfterMs ?? intervalMs)
    await Promise.all(
      videos.map(async (video, i) => {
        try {
          await this.#answered(video, answers[i] ?? null)
        } catch (err) {
          this.#o.log.error({ err, video: video.id }, 'poll failed unexpectedly')
          this.#schedule(video, intervalMs)
        }
        video.polling = false
      }),
    )
  }

  async #answered(video: Hosted, answer: TaskAnswer | null): Promise<void> {
    video.isAlone = answer === null
    if (answer === null) return this.#schedule(video, 0)
    this.#o.polls.inc({ answer: answer.kind })
    if (!this.#isHosted(video)) return
    if (!this.#o.isTrusted()) return this.#schedule(video, untrustedMs)
    // rule: the life of a result begins when the provider last worked on it
    if (answer.kind === 'working') video.workingAt = this.#o.clock.now()
    const signal = signalOf(answer)
    if (isNoop(video.state, signal)) return this.#execute(video, { type: 'askAgain' }, answer)
    await this.#send(video, signal, answer)
  }

  /** Sends the machine an event, records what changed, and executes its actions. */
  async #send(video: Hosted, signal: VideoSignal, answer?: TaskAnswer): Promise<void> {
    const { state, changes, actions } = advance(video.state, signal)
    video.state = state
    for (const change of changes) if (!(await this.#report(video, change))) return
    for (const action of actions) this.#execute(video, action, answer)
  }

  #execute(video: Hosted, action: VideoAction, answer?: TaskAnswer): void {
    const { intervalMs, clock, log } = this.#o
    switch (action.type) {
      case 'askAgain':
        return this.#schedule(video, afterAnswer(this.#interval(video), clock.random()))
      case 'askAgainAfterThrottle':
        return this.#schedule(video, afterThrottle(intervalMs, action.retryAfterMs, clock.random()))
      case 'askAgainAfterMiss': {
        const reason = answer?.kind === 'none' ? answer.reason : answer?.kind
        log.warn({ video: video.id, misses: action.misses, reason }, 'No answer to a poll')
        return this.#schedule(video, afterMiss(intervalMs, action.misses, clock.random()))
      }
      case 'tellUnknown':
        return log.error(
          { video: video.id, body: answer && 'body' in answer ? answer.body : undefined },
          'The provider answered in words unknown to us; polling on',
        )
      case 'cancelAtProvider':
        // no provider of ours can be asked to stop a task: that is the answer
        return void this.#send(video, { type: 'CANCELLED' })
      case 'release':
        return this.#release(video)
    }
  }

  #release(video: Hosted): void {
    const { log, onEnded } = this.#o
    const { id, epoch } = video
    crashPoint('end-reported')
    this.drop(id)
    onEnded(id, BigInt(epoch))
    if (video.state.status === 'completed')
      log.info({ video: id }, `Video generated successfully for ${id}`)
    else log.info({ video: id }, `Video generation failed for ${id}`)
    log.info({ video: id }, `Stopped polling for ${id}`)
  }

  #interval({ state, overdueAt }: Hosted): number {
    const { adaptive, intervalMs, provider, clock } = this.#o
    return adaptive
      ? adaptiveInterval(intervalMs, {
          phase: phaseOf(state),
          progress: state.progress,
          elapsed: provider.expectedMs - (overdueAt - clock.now()),
        })
      : intervalMs
  }

  /**
   * Stores the report in the queue; tries again for as long as the video is ours. False when it is
   * not any more: nobody waits for our word.
   */
  async #report(video: Hosted, change: Change | null): Promise<boolean> {
    const { clock, log } = this.#o
    const { id, attempt, epoch } = video
    const report: Report = { id, attempt, epoch, no: ++video.no, change }
    video.reportedAt = clock.now()
    for (;;) {
      try {
        await this.#reporter.store(report)
        crashPoint('report-stored')
        return this.#isHosted(video)
      } catch (err) {
        if (!this.#isHosted(video)) return false
        log.warn({ err, video: id }, 'report not stored yet')
        await sleep(reportAgainMs, undefined, clock)
      }
    }
  }
}
