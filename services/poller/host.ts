/**
 * Hosts one actor per owned video and polls each in its time.
 *
 * It acts only while its session is trusted: before a poll, and again before reporting what the poll said. Every report
 * carries attempt, epoch and number. An answer that changes nothing does not wake the statechart and reports nothing, but for a sign of
 * life every 45 s. A report that cannot be stored is kept (the newest state of the video) and sent again.
 */
import type { Bus } from '#libs/bus/bus.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Tally } from '#libs/runtime/metrics.ts'
import { decrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { actorAt, advance, statusAndPhase, type VideoActor, type VideoSignal } from '#libs/scene-video/machine.ts'
import { reportSubject, type Change, type Grant, type Report } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { afterAnswer, afterClaim, afterMiss, afterThrottle } from '#libs/scene-video/poll-schedule.ts'
import type { Budget } from './budget.ts'
import { TimerQueue } from './timer-queue.ts'

const signOfLifeMs = 45_000
const reportAgainMs = 500
/** Misses in a row before a video is shown as retrying. */
const missesToShow = 2

export interface Hosted {
  grant: Grant
  apiKey: string
  actor: VideoActor
  no: number
  nextPollAt: number
  reportedAt: number
  misses: number
  polling: boolean
  cancel: boolean
  overdueAt: number
  endsAt: number
  endsByDeadline: boolean
  ended: boolean
}

export interface HostOptions {
  bus: Bus
  clock: Clock
  log: Logger
  provider: Provider
  budget: Budget
  intervalMs: number
  /** Polls under way at once. */
  concurrency: number
  keyEncryptionKey: Keyring
  isTrusted(): boolean
  /** The video has ended and its end is reported: give up the lease. */
  onEnded(id: string, epoch: bigint): void
  polls: Tally<'answer'>
}

export class Host {
  readonly videos = new Map<string, Hosted>()
  readonly #o: HostOptions
  readonly #queue: TimerQueue<Hosted>
  readonly #inHand = new Set<Promise<void>>()

  constructor(options: HostOptions) {
    this.#o = options
    const due = (video: Hosted, at: number) => {
      if (video.nextPollAt !== at || !this.#isHosted(video) || video.polling) return
      const work = this.#turn(video).finally(() => {
        this.#inHand.delete(work)
        this.#queue.wake()
      })
      this.#inHand.add(work)
    }
    this.#queue = new TimerQueue(options.clock, due, () => this.#inHand.size < options.concurrency)
  }

  /** Begins to poll a video whose claim status has committed; after `dueInMs`, or soon. */
  adopt(grant: Grant, dueInMs?: number): void {
    const { clock, provider, intervalMs, log } = this.#o
    if (this.videos.has(grant.id)) return
    const now = clock.now()
    const lifeEnds = provider.resultLifeMs - grant.sinceSubmittedMs
    const endsByDeadline = grant.untilDeadlineMs !== null && grant.untilDeadlineMs < lifeEnds
    const slow = grant.sinceSubmittedMs >= provider.expectedMs
    const video: Hosted = {
      grant,
      apiKey: decrypt(grant.keyCipher, this.#o.keyEncryptionKey),
      actor: actorAt({ ...grant, slow }),
      no: grant.reportNo,
      nextPollAt: 0, reportedAt: now, misses: 0, polling: false, cancel: grant.cancelRequested, ended: false,
      overdueAt: now + provider.expectedMs - grant.sinceSubmittedMs,
      endsAt: now + (endsByDeadline ? grant.untilDeadlineMs! : lifeEnds),
      endsByDeadline,
    }
    this.videos.set(grant.id, video)
    this.#schedule(video, dueInMs ?? afterClaim(intervalMs, clock.random()))
    log.info({ video: grant.id, taskId: grant.taskId, epoch: grant.epoch }, `Started polling for ${grant.id} (taskId: ${grant.taskId})`)
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
    for (const video of this.videos.values()) video.actor.stop()
    this.videos.clear()
  }

  drop(id: string): void {
    this.videos.get(id)?.actor.stop()
    this.videos.delete(id)
  }

  /** Gives up to `count` videos away, those due last first; none that is being polled. */
  giveAway(count: number): { id: string; epoch: string; dueInMs: number }[] {
    const now = this.#o.clock.now()
    const idle = [...this.videos.values()].filter((video) => !video.polling).toSorted((a, b) => b.nextPollAt - a.nextPollAt)
    return idle.slice(0, count).map(({ grant, nextPollAt }) => {
      this.drop(grant.id)
      return { id: grant.id, epoch: grant.epoch, dueInMs: Math.max(0, nextPollAt - now) }
    })
  }

  /** Stops polling and waits, at most `ms`, for the polls and reports in hand. What is hosted stays listed. */
  async drain(ms: number): Promise<void> {
    this.#queue.stop()
    await Promise.race([Promise.allSettled(this.#inHand), sleep(ms, undefined, this.#o.clock)])
  }

  #isHosted(video: Hosted): boolean {
    return this.videos.get(video.grant.id) === video
  }

  #schedule(video: Hosted, delay: number): void {
    video.nextPollAt = this.#o.clock.now() + delay
    this.#queue.add(video, video.nextPollAt)
  }

  async #turn(video: Hosted): Promise<void> {
    const { budget, clock, intervalMs } = this.#o
    if (!this.#o.isTrusted()) return this.#schedule(video, 250)
    const wait = budget.take(video.grant.baseUrl)
    if (wait > 0) return this.#schedule(video, wait)
    video.polling = true
    try {
      const { answer, rateLimit } = await this.#o.provider.get({ baseUrl: video.grant.baseUrl, apiKey: video.apiKey }, video.grant.taskId)
      crashPoint('poll-answered')
      this.#o.polls.inc({ answer: answer.kind })
      if (rateLimit) budget.learn(video.grant.baseUrl, rateLimit)
      if (!this.#isHosted(video)) return
      if (!this.#o.isTrusted()) return this.#schedule(video, 250)
      const delay = await this.#act(video, answer)
      if (!video.ended && this.#isHosted(video)) this.#schedule(video, Math.min(delay, Math.max(1, video.endsAt - clock.now())))
    } catch (err) {
      this.#o.log.error({ err, video: video.grant.id }, 'poll failed unexpectedly')
      this.#schedule(video, intervalMs)
    } finally {
      video.polling = false
    }
  }

  /** What an answer means; the delay to the next poll. */
  async #act(video: Hosted, answer: TaskAnswer): Promise<number> {
    const { intervalMs, log, budget, clock } = this.#o
    const answered = answer.kind === 'working' || answer.kind === 'unknown'
    video.misses = answered || answer.kind === 'later' ? 0 : video.misses + 1
    let delay = afterAnswer(intervalMs, clock.random())
    if (answer.kind === 'done') await this.#signal(video, { type: 'DONE', videoUrl: answer.videoUrl, videoUrlExpiresAt: answer.expiresAt })
    else if (answer.kind === 'failed') await this.#signal(video, { type: 'FAILED', error: answer.error })
    else if (answer.kind === 'working') await this.#signal(video, { type: answer.phase === 'queued' ? 'QUEUED' : 'RUNNING', progress: answer.progress })
    else if (answer.kind === 'unknown') log.error({ video: video.grant.id, body: answer.body }, 'The provider answered in words unknown to us; polling on')
    else if (answer.kind === 'later') {
      delay = afterThrottle(intervalMs, answer.retryAfterMs, clock.random())
      budget.pause(video.grant.baseUrl, answer.retryAfterMs ?? intervalMs)
      await this.#signal(video, { type: 'THROTTLED' })
    } else {
      delay = afterMiss(intervalMs, video.misses, clock.random())
      log.warn({ video: video.grant.id, misses: video.misses, reason: answer.kind === 'none' ? answer.reason : answer.kind }, 'No answer to a poll')
      if (video.misses >= missesToShow) await this.#signal(video, { type: 'MISSED' })
    }
    if (video.ended || !this.#isHosted(video)) return 0
    if (clock.now() >= video.endsAt) await this.#signal(video, { type: 'FAILED', error: timedOut(video) })
    else if (video.cancel) await this.#signal(video, { type: 'FAILED', error: { code: 'cancelled', message: 'Cancelled. The provider cannot stop a running task; it may still be billed.' } })
    else if (clock.now() >= video.overdueAt && !video.actor.getSnapshot().context.slow) await this.#signal(video, { type: 'SLOW' })
    if (!video.ended && clock.now() - video.reportedAt >= signOfLifeMs) await this.#report(video, null)
    return delay
  }

  async #signal(video: Hosted, signal: VideoSignal): Promise<void> {
    if (video.ended || isUnchanged(video, signal)) return
    const change = advance(video.actor, signal)
    if (!change) return
    if (!(await this.#report(video, change)) || !isTerminal(change.status)) return
    crashPoint('end-reported')
    video.ended = true
    const { id, epoch } = video.grant
    this.drop(id)
    this.#o.onEnded(id, BigInt(epoch))
    if (change.status === 'completed') this.#o.log.info({ video: id }, `Video generated successfully for ${id}`)
    else this.#o.log.info({ video: id, code: change.error?.code }, `Video generation failed for ${id}`)
    this.#o.log.info({ video: id }, `Stopped polling for ${id}`)
  }

  /** Stores the report in the queue; tries again for as long as the video is ours. False when it is not any more: nobody waits for our word. */
  async #report(video: Hosted, change: Change | null): Promise<boolean> {
    const { bus, clock, log } = this.#o
    const { id, attempt, epoch } = video.grant
    const report: Report = { id, attempt, epoch, no: ++video.no, change }
    for (;;) {
      try {
        await bus.store(reportSubject(id), JSON.stringify(report))
        crashPoint('report-stored')
        video.reportedAt = clock.now()
        return this.#isHosted(video)
      } catch (err) {
        if (!this.#isHosted(video)) return false
        log.warn({ err: (err as Error).message, video: id }, 'report not stored yet')
        await sleep(reportAgainMs, undefined, clock)
      }
    }
  }
}

/** The hot path: an answer that says what the last one said. */
function isUnchanged(video: Hosted, signal: VideoSignal): boolean {
  if (signal.type !== 'QUEUED' && signal.type !== 'RUNNING') return false
  const snapshot = video.actor.getSnapshot()
  const { status, phase } = statusAndPhase(snapshot)
  return status === 'generating' && phase === signal.type.toLowerCase() && snapshot.context.progress === signal.progress
}

function timedOut(video: Hosted) {
  const message = video.endsByDeadline ? 'The deadline passed before the video was done.' : 'The provider can no longer deliver it: its results’ life has passed.'
  return { code: 'timed_out' as const, message }
}
