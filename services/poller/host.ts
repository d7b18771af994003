/**
 * Hosts the machine of every owned video (libs/scene-video/machine.ts): sends it what polls and
 * time bring as events, keeps the state that comes back, records the changes, executes the actions.
 * What an event means is the machine's to say.
 *
 * It acts only while its session is trusted. Every report carries attempt, epoch and number. An
 * answer that changes nothing does not wake the statechart and reports nothing. Cancel, deadline,
 * the end of a result's life, lateness and signs of life come by a timer of their own: no open
 * query and no budget of queries delays them. A report that cannot be stored is kept and sent
 * again.
 */
import type { Bus } from '#libs/bus/bus.ts'
import type { TaskAnswer } from '#libs/provider/provider.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import type { Keyring } from '#libs/runtime/secrets.ts'
import { advance, isNoop } from '#libs/scene-video/advance.ts'
import type { Change, Grant } from '#libs/scene-video/messages.ts'
import type { ProviderSource } from '#libs/provider/providers.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { VideoAction, VideoSignal } from '#libs/scene-video/signals.ts'
import { PolledAccounts } from './accounts.ts'
import { askToCancel } from './cancel.ts'
import { hostedFrom, nextWatchAt, owesSignOfLife, signalOfTime, type Hosted } from './hosted.ts'
import { lookAgainMs, Polls, type PollsOptions } from './polls.ts'
import { nextReport, Reporter } from './reporter.ts'
import { untilFirstPoll, untilNextPoll, watchWebhooks } from './next-poll.ts'
import { afterClaim, afterMiss, afterThrottle } from './schedule.ts'
import { signalOf } from './signal-of.ts'
import { TimerQueue } from './timer-queue.ts'
import type { WebhookWatch } from './webhook-watch.ts'
import { UnknownWords } from './unknown-words.ts'

export interface HostOptions extends PollsOptions {
  bus: Bus
  /** Ask less often while queued and far from the end, more often near it. */
  adaptive?: boolean
  keyEncryptionKey: Keyring
  providers: ProviderSource
  /** The video has ended and its end is reported: give up the owner record. */
  onEnded(id: string, epoch: bigint): void
  polls: CounterLike<'answer'>
}

export class Host {
  readonly videos = new Map<string, Hosted>()
  readonly #options: HostOptions
  readonly #polls: Polls
  readonly #watches: TimerQueue<Hosted>
  readonly #accounts: PolledAccounts
  readonly #reporter: Reporter
  readonly #webhooks: WebhookWatch
  readonly #unknown: UnknownWords<Hosted>

  constructor(options: HostOptions) {
    this.#options = options
    this.#accounts = new PolledAccounts(options.keyEncryptionKey, options.providers)
    this.#webhooks = watchWebhooks(options, this.videos, () => this.#polls)
    this.#reporter = new Reporter(options)
    this.#unknown = new UnknownWords(options.log, (video, said) => {
      void this.#report(video, null, said)
    })
    this.#polls = new Polls(options, {
      answered: (video, answer) => this.#answered(video, answer),
    })
    this.#watches = new TimerQueue(options.clock, (video, at) => {
      if (video.watchAt === at && video.isHosted) this.#watch(video)
    })
  }

  /** Begins to poll a video whose claim status has committed; after `dueInMs`, or soon. */
  adopt(grant: Grant, dueInMs?: number): void {
    const { clock, intervalMs, log } = this.#options
    if (this.videos.has(grant.id)) return
    const now = clock.now()
    const video = hostedFrom(grant, this.#accounts.of(grant), now)
    this.videos.set(grant.id, video)
    const usualMs = dueInMs ?? afterClaim(intervalMs, this.videos.size, clock.random())
    this.#polls.schedule(video, untilFirstPoll(video, usualMs, this.#webhooks))
    this.#watchFrom(video, now)
    log.info(
      { video: grant.id, taskId: grant.taskId, epoch: grant.epoch },
      `Started polling for ${grant.id} (taskId: ${grant.taskId})`,
    )
  }

  /** Polls or cancels at once, if we host it. */
  nudge(id: string, reason: string): void {
    const video = this.videos.get(id)
    if (reason === 'webhook') this.#webhooks.arrived(id, video?.account.id)
    if (!video) return
    video.isHinted ||= reason === 'webhook'
    // rule: an owner acts on a cancel
    if (reason === 'cancel') {
      video.cancelRequested = true
      this.#watch(video)
    } else if (video.polling) video.askAtOnce = true
    else this.#polls.askNow(video)
  }

  /** Its owner record at that epoch was taken from us; what we claimed since, we keep. */
  revoke(id: string, epoch: string | undefined): void {
    const video = this.videos.get(id)
    // rule: a revocation is of one epoch
    if (video && video.epoch === epoch) void this.#send(video, { type: 'REVOKED' })
  }

  /** Forgets everything without a word: it is ours no more. */
  dropAll(): void {
    for (const id of this.videos.keys()) this.drop(id)
  }

  drop(id: string): void {
    const video = this.videos.get(id)
    if (!video) return
    video.isHosted = false
    this.videos.delete(id)
  }

  /** Gives up to `count` videos away, those due last first; none that is being polled. */
  releaseForHandoff(count: number): { id: string; epoch: string; dueInMs: number }[] {
    const now = this.#options.clock.now()
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
    this.#watches.stop()
    this.#webhooks.stop()
    await Promise.race([this.#polls.stop(), sleep(ms, undefined, this.#options.clock)])
  }

  /** What time alone brings, and what somebody asked for: whether or not a query is open. */
  #watch(video: Hosted): void {
    const { clock, isLeaseValid } = this.#options
    const now = clock.now()
    if (!isLeaseValid()) return this.#watchFrom(video, now + lookAgainMs)
    const signal = signalOfTime(video, now)
    if (signal) void this.#send(video, signal)
    // rule: an owner gives signs of life by its own timer
    else if (owesSignOfLife(video, now)) void this.#report(video, null)
    this.#watchFrom(video, now + 1)
  }

  /** At the next instant at which time alone brings something, not before `earliest`. */
  #watchFrom(video: Hosted, earliest: number): void {
    if (isTerminal(video.state.status)) return
    video.watchAt = Math.max(earliest, nextWatchAt(video))
    this.#watches.add(video, video.watchAt)
  }

  /** Nothing is returned where the answer changes nothing. */
  #answered(video: Hosted, answer: TaskAnswer | null): void | Promise<void> {
    video.isAlone = answer === null
    if (answer === null) return this.#polls.schedule(video, 0)
    this.#options.polls.inc({ answer: answer.kind })
    if (!video.isHosted) return
    if (!this.#options.isLeaseValid()) return this.#polls.schedule(video, lookAgainMs)
    // rule: the life of a result begins when the provider last worked on it
    if (answer.kind === 'working') video.workingAt = this.#options.clock.now()
    if (answer.kind === 'working') video.saidLast = answer.phase
    const isEnd = answer.kind === 'done' || answer.kind === 'failed'
    if (isEnd && !video.isHinted) this.#webhooks.endedUnheard(video.id, video.account.id)
    const signal = signalOf(answer)
    if (isNoop(video.state, signal)) return this.#execute(video, { type: 'askAgain' }, answer)
    return this.#send(video, signal, answer)
  }

  /** Sends the machine an event, records what changed, and executes its actions. */
  async #send(video: Hosted, signal: VideoSignal, answer?: TaskAnswer): Promise<void> {
    const { state, changes, actions } = advance(video.state, signal)
    video.state = state
    for (const change of changes) if (!(await this.#report(video, change))) return
    for (const action of actions) this.#execute(video, action, answer)
  }

  #execute(video: Hosted, action: VideoAction, answer?: TaskAnswer): void {
    const { intervalMs, clock, log } = this.#options
    switch (action.type) {
      case 'askAgain':
        return this.#polls.schedule(video, untilNextPoll(video, this.#options, this.#webhooks))
      case 'askAgainAfterThrottle':
        return this.#polls.schedule(
          video,
          afterThrottle(intervalMs, action.retryAfterMs, clock.random()),
        )
      case 'askAgainAfterMiss': {
        const reason = answer?.kind === 'none' ? answer.reason : answer?.kind
        log.warn({ video: video.id, misses: action.misses, reason }, 'No answer to a poll')
        return this.#polls.schedule(video, afterMiss(intervalMs, action.misses, clock.random()))
      }
      case 'tellUnknown':
        return this.#unknown.tell(video, answer)
      case 'cancelAtProvider':
        return void askToCancel(video, this.#options).then(() =>
          this.#send(video, { type: 'CANCELLED' }),
        )
      case 'release':
        return this.#release(video)
      case 'drop':
        return this.drop(video.id)
    }
  }

  #release(video: Hosted): void {
    const { log, onEnded } = this.#options
    const { id, epoch, state } = video
    crashPoint('end-reported')
    this.drop(id)
    onEnded(id, BigInt(epoch))
    const end = state.status === 'completed' ? 'generated successfully' : 'generation failed'
    log.info({ video: id }, `Video ${end} for ${id}`)
    log.info({ video: id }, `Stopped polling for ${id}`)
  }

  /**
   * Stores the report in the queue; tries again for as long as the video is ours. False when it is
   * not any more: nobody waits for our word.
   */
  #report(video: Hosted, change: Change | null, said?: string): Promise<boolean> {
    video.reportedAt = this.#options.clock.now()
    return this.#reporter.store(nextReport(video, change, said), () => video.isHosted)
  }
}
