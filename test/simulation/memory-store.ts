/**
 * What the services ask of Postgres, in memory: each method is one transaction. Held to the real
 * store by running the same operations on both. Time is the world's, in milliseconds.
 */
import type { Grant, Report } from '#libs/scene-video/messages.ts'
import type { SceneVideo, VideoError } from '#libs/scene-video/scene-video.ts'
import {
  cancelledBeforeSubmission,
  decideAcceptance,
  decideCancel,
  decideIntent,
  isWaitingAt,
  requireRetry,
  type AcceptedHow,
  type NoTask,
} from '#libs/scene-video/decisions.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { toSceneVideo, toVideoEvent } from '#libs/store/rows.ts'
import type { Promised } from '#libs/store/recovery.ts'
import type { Bid, Claimed } from '#libs/store/commit-claims.ts'
import type { Fate, Outcome } from '#libs/store/reports.ts'
import type { NewVideo, Pins, SubmissionRecord, VideoRecord } from '#libs/store/submissions.ts'
import { MemoryOutbox } from './memory-outbox.ts'
import { newVideo, toOwed, type StoreCopy } from './rows.ts'

/** As shipped. */
export const reconcilerSettings = {
  staleAfterMs: 180_000,
  resultLifeMs: 24 * 3_600_000,
  eventDays: 7,
}

export class MemoryStore extends MemoryOutbox {
  readonly videos = new Map<string, VideoRecord>()
  readonly submissions: SubmissionRecord[] = []
  generation = 0
  /** Told of every change of a video, and of the report or claim that made it. */
  onChange: (
    video: VideoRecord,
    kind: string,
    cause: { attempt: number; epoch: bigint } | null,
  ) => void = () => {}

  /**
   * Told when a statement names a video twice: Postgres would apply one of the two, and say
   * nothing.
   */
  onDoubleRow: () => void = () => {}

  readonly #date = (): Date => new Date(Date.UTC(2026, 0, 1) + this.now())

  #video(id: string): VideoRecord {
    const video = this.videos.get(id)
    if (!video) throw new Error(`no video ${id}`)
    return video
  }

  #own(userId: string, id: string): VideoRecord {
    const video = this.videos.get(id)
    if (!video || video.userId !== userId) throw new Refused('not_found', 'There is no such video.')
    return video
  }

  #sends(id: string): SubmissionRecord[] {
    return this.submissions
      .filter((one) => one.videoId === id)
      .toSorted((a, b) => a.attempt - b.attempt || a.send - b.send)
  }

  #submission(id: string, attempt: number, send: number): SubmissionRecord | undefined {
    return this.submissions.find(
      (one) => one.videoId === id && one.attempt === attempt && one.send === send,
    )
  }

  #record(
    video: VideoRecord,
    event: string,
    cause: { attempt: number; epoch: bigint } | null = null,
    body = toVideoEvent(video),
  ): void {
    this.timeline.push({
      id: this.timeline.length + 1,
      videoId: video.id,
      version: body.version,
      kind: event,
      event,
      attempt: video.attempt,
      epoch: video.epoch,
      owed: true,
      sequence: null,
      at: this.now(),
      body,
    })
    this.onChange(video, event, cause)
  }

  #fail(video: VideoRecord, error: VideoError): void {
    Object.assign(video, {
      status: 'failed',
      phase: 'done',
      version: video.version + 1,
      errorCode: error.code,
      errorMessage: error.message,
      completedAt: this.#date(),
      updatedAt: this.#date(),
    })
    this.#record(video, 'failed')
  }

  // submissions
  // ------------------------------------------------------------------------------------------

  async accept(request: NewVideo): Promise<{ video: SceneVideo; created: boolean }> {
    const at = this.#date()
    const video = newVideo(request, at)
    this.videos.set(video.id, video)
    this.#record(video, 'requested')
    return { video: toSceneVideo(video), created: true }
  }

  async load(id: string) {
    const video = this.videos.get(id)
    if (!video) return null
    const now = this.#date().getTime()
    const submissions = this.#sends(id)
    return {
      video: { ...video },
      submissions: submissions.map((one) => ({ ...one })),
      config: null,
      ageMs: submissions.map(
        (one) => now - Math.max(one.intentAt.getTime(), video.restoredAt?.getTime() ?? 0),
      ),
      untilDeadlineMs: video.deadlineAt === null ? null : video.deadlineAt.getTime() - now,
    }
  }

  async intend(id: string, attempt: number, send: number, pins: Pins): Promise<boolean> {
    const sends = this.#sends(id)
    const decision = decideIntent(this.#video(id), sends, { attempt, send })
    if (decision === null) return false
    if (decision === 'replace')
      Object.assign(this.#submission(id, attempt, send - 1)!, {
        send,
        answer: null,
        detail: null,
        intentAt: this.#date(),
        answeredAt: null,
        settledAt: null,
      })
    else this.#intended({ videoId: id, attempt, send, ...pins })
    return true
  }

  async addDoubtfulIntentsAfterRestore(id: string, pins: Pins): Promise<number> {
    const video = this.#video(id)
    const { restoredAt } = video
    if (video.status !== 'pending' || restoredAt === null) return 0
    const isKnown = (one: SubmissionRecord) =>
      one.answer === null ||
      ['accepted', 'refused', 'lost'].includes(one.answer) ||
      one.intentAt > restoredAt
    const of = (attempt: number) =>
      this.submissions.filter((one) => one.videoId === id && one.attempt === attempt)
    const attempts = Array.from({ length: video.attempt - 1 }, (_, i) => i + 1).filter(
      (attempt) => !of(attempt).some(isKnown),
    )
    for (const attempt of attempts)
      this.#intended({
        videoId: id,
        attempt,
        send: Math.max(0, ...of(attempt).map((one) => one.send)) + 1,
        ...pins,
      })
    return attempts.length
  }

  #intended(send: Pick<SubmissionRecord, 'videoId' | 'attempt' | 'send'> & Pins): void {
    this.submissions.push({
      ...send,
      taskId: null,
      outcome: null,
      lookedAt: null,
      answer: null,
      detail: null,
      intentAt: this.#date(),
      answeredAt: null,
      settledAt: null,
    })
  }

  readonly effectiveConfig = async (): Promise<null> => null

  async accepted(
    id: string,
    attempt: number,
    send: number,
    taskId: string,
    how: AcceptedHow,
  ): Promise<'taken' | 'late' | 'duplicate'> {
    const video = this.#video(id)
    const sends = this.#sends(id)
    const { fate, moves, record } = decideAcceptance(video, sends, { attempt, send, taskId, how })
    const submission = this.#submission(id, attempt, send)!
    const answered = { answer: 'accepted', taskId, detail: how, answeredAt: this.#date() }
    if (record === 'on_send')
      Object.assign(submission, {
        ...answered,
        settledAt: submission.outcome === null ? null : submission.settledAt,
      })
    if (record === 'beside')
      this.submissions.push({
        ...submission,
        ...answered,
        send: 1 + Math.max(...sends.map((one) => (one.attempt === attempt ? one.send : 0))),
        outcome: null,
        settledAt: null,
        lookedAt: null,
      })
    if (!moves) return fate
    Object.assign(video, {
      taskId,
      phase: 'submitted',
      version: video.version + 1,
      submittedAt: this.#date(),
      updatedAt: this.#date(),
    })
    this.#record(video, 'submitted')
    return fate
  }

  async answered(
    id: string,
    attempt: number,
    send: number,
    answer: NoTask,
    detail: string,
  ): Promise<void> {
    const submission = this.#submission(id, attempt, send)
    if (submission && submission.answer !== 'accepted')
      Object.assign(submission, {
        answer,
        detail,
        answeredAt: this.#date(),
        settledAt: this.#date(),
      })
  }

  async looked(id: string, attempt: number, send: number): Promise<void> {
    this.#submission(id, attempt, send)!.lookedAt = this.#date()
  }

  async throttled(id: string, attempt: number, _reason: string): Promise<boolean> {
    const video = this.#video(id)
    if (video.attempt !== attempt || video.status !== 'pending' || video.phase !== 'queued')
      return false
    Object.assign(video, {
      phase: 'throttled',
      version: video.version + 1,
      updatedAt: this.#date(),
    })
    this.#record(video, 'progress')
    return true
  }

  async touch(id: string): Promise<void> {
    const video = this.#video(id)
    if (video.status === 'pending' && video.updatedAt.getTime() < this.#date().getTime() - 30_000)
      video.updatedAt = this.#date()
  }

  async failPending(id: string, attempt: number, error: VideoError): Promise<boolean> {
    const video = this.#video(id)
    if (!isWaitingAt(video, attempt)) return false
    this.#fail(video, error)
    return true
  }

  async cancel(
    userId: string,
    id: string,
    attempt: number | null,
  ): Promise<{ video: SceneVideo; ownerActs: boolean }> {
    const video = this.#own(userId, id)
    const atOnce = decideCancel(video, this.#sends(id), attempt) === 'at_once'
    if (atOnce) this.#fail(video, cancelledBeforeSubmission)
    else video.cancelRequested = true
    return { video: toSceneVideo(video), ownerActs: !atOnce }
  }

  async retry(userId: string, id: string, attempt: number | null): Promise<SceneVideo> {
    const video = this.#own(userId, id)
    requireRetry(video, attempt)
    const at = this.#date()
    Object.assign(video, {
      status: 'pending',
      phase: 'queued',
      progress: null,
      taskId: null,
      videoUrl: null,
      videoUrlExpiresAt: null,
      errorCode: null,
      errorMessage: null,
      attempt: video.attempt + 1,
      version: video.version + 1,
      cancelRequested: false,
      submittedAt: null,
      startedAt: null,
      completedAt: null,
      updatedAt: at,
      deadlineAt:
        video.deadlineSeconds === null
          ? null
          : new Date(at.getTime() + video.deadlineSeconds * 1000),
    })
    this.#record(video, 'requested')
    return toSceneVideo(video)
  }

  async noteLate(
    id: string,
    attempt: number,
    send: number,
    said: 'completed' | 'failed',
    _detail: Record<string, string | null>,
  ): Promise<boolean> {
    const submission = this.#submission(id, attempt, send)
    if (!submission || submission.outcome !== null) return false
    Object.assign(submission, { settledAt: this.#date(), outcome: said })
    this.#note(this.#video(id), `late ${said}`)
    return true
  }

  #note(video: VideoRecord, kind: string): void {
    this.timeline.push({
      id: this.timeline.length + 1,
      videoId: video.id,
      version: video.version,
      kind,
      event: null,
      attempt: video.attempt,
      epoch: video.epoch,
      owed: false,
      sequence: null,
      at: this.now(),
      body: null,
    })
  }

  // claims and reports
  // -----------------------------------------------------------------------------------------------

  async commitClaims(session: string, bids: Bid[]): Promise<Claimed> {
    const now = this.#date().getTime()
    const grants = bids.flatMap(({ id, epoch: text }): Grant[] => {
      const video = this.videos.get(id)
      const epoch = BigInt(text)
      if (!video || isTerminal(video.status) || video.taskId === null) return []
      if (!(video.epoch < epoch || (video.epoch === epoch && video.session === session))) return []
      if (video.epoch < epoch) Object.assign(video, { epoch, reportNo: 0 })
      video.session = session
      this.onChange(video, 'claimed', { attempt: video.attempt, epoch })
      const {
        taskId,
        attempt,
        status,
        phase,
        progress,
        provider,
        model,
        reportNo,
        cancelRequested,
      } = video
      const submission =
        this.submissions.findLast((one) => one.videoId === id && one.taskId === taskId) ??
        this.submissions.findLast((one) => one.videoId === id)!
      return [
        {
          id,
          epoch: text,
          attempt,
          status,
          phase: phase as Grant['phase'],
          progress,
          provider,
          model,
          taskId,
          reportNo,
          cancelRequested,
          baseUrl: submission.baseUrl,
          keyCipher: submission.keyCipher,
          sinceSubmittedMs: now - (video.submittedAt ?? video.createdAt).getTime(),
          untilDeadlineMs: video.deadlineAt ? video.deadlineAt.getTime() - now : null,
        },
      ]
    })
    return { grants, undecided: [] }
  }

  async apply(reports: Report[]): Promise<Map<string, Outcome>> {
    if (new Set(reports.map((report) => report.id)).size < reports.length) this.onDoubleRow()
    return new Map(
      reports.map((report) => {
        const before = this.timeline.length
        const fate = this.#apply(report)
        return [
          report.id,
          {
            fate,
            event:
              this.timeline.length > before && fate === 'applied'
                ? toOwed(this.timeline.at(-1)!)
                : null,
          },
        ]
      }),
    )
  }

  #apply({ id, attempt, epoch: text, no, change }: Report): Fate {
    const video = this.videos.get(id)
    const epoch = BigInt(text)
    if (!video || video.attempt !== attempt || video.epoch !== epoch) return 'stale'
    if (!change && video.reportNo === no) return 'applied'
    if (video.reportNo >= no) return 'stale'
    if (isTerminal(video.status)) {
      if (!change || !isTerminal(change.status)) return 'stale'
      this.#note(video, `late ${change.status}`)
      return 'late'
    }
    const cause = { attempt, epoch }
    const at = this.#date()
    Object.assign(video, { reportNo: no, updatedAt: at })
    if (!change) return 'applied'
    const was = video.status
    video.startedAt = change.status === 'failed' ? video.startedAt : (video.startedAt ?? at)
    if (was === 'pending' && change.status === 'completed') {
      Object.assign(video, {
        status: 'generating',
        phase: 'running',
        progress: change.progress,
        version: video.version + 1,
      })
      this.#record(video, 'generating', cause)
    }
    Object.assign(video, {
      status: change.status,
      phase: change.phase,
      progress: change.progress,
      version: video.version + 1,
      videoUrl: change.videoUrl ?? video.videoUrl,
      videoUrlExpiresAt: change.videoUrlExpiresAt
        ? new Date(change.videoUrlExpiresAt)
        : video.videoUrlExpiresAt,
      errorCode: change.error?.code ?? null,
      errorMessage: change.error?.message ?? null,
      completedAt: isTerminal(change.status) ? at : video.completedAt,
    })
    const settles =
      change.status === 'completed' ||
      (change.status === 'failed' && !['cancelled', 'timed_out'].includes(change.error?.code ?? ''))
    if (settles && video.taskId !== null)
      for (const one of this.submissions)
        if (one.videoId === id && one.taskId === video.taskId)
          Object.assign(one, { settledAt: at, outcome: change.status })
    this.#record(
      video,
      change.status === 'generating'
        ? was === 'pending'
          ? 'generating'
          : 'progress'
        : change.status,
      cause,
    )
    return 'applied'
  }

  #idle(video: VideoRecord): number {
    return this.#date().getTime() - video.updatedAt.getTime()
  }

  #open(withTask: boolean): VideoRecord[] {
    return [...this.videos.values()].filter(
      (video) => !isTerminal(video.status) && (video.taskId !== null) === withTask,
    )
  }

  readonly pendingVideos = async (idleMs: number): Promise<string[]> =>
    this.#open(false)
      .filter((video) => this.#idle(video) >= idleMs)
      .map((video) => video.id)

  async staleVideos(idleMs: number): Promise<{ id: string; taskId: string; epoch: bigint }[]> {
    return this.#open(true)
      .filter((video) => this.#idle(video) > idleMs)
      .map(({ id, taskId, epoch }) => ({ id, taskId: taskId!, epoch }))
  }

  async videosWithOpenTask(): Promise<string[]> {
    return this.#open(true).map((video) => video.id)
  }

  async unkeptPromises(): Promise<Promised[]> {
    const now = this.#date().getTime()
    return this.#open(true).flatMap(({ id, cancelRequested, deadlineAt }): Promised[] => {
      if (cancelRequested) return [{ id, promise: 'cancel' }]
      return deadlineAt && deadlineAt.getTime() < now - 2_000 ? [{ id, promise: 'deadline' }] : []
    })
  }

  async ended(ids: string[]): Promise<string[]> {
    return ids.filter((id) => isTerminal(this.videos.get(id)?.status ?? 'failed'))
  }

  async unsettledVideos(lifeMs: number, leastMs = 10_000): Promise<string[]> {
    const now = this.#date().getTime()
    const isDue = ({ intentAt, lookedAt }: SubmissionRecord) => {
      const last = (lookedAt ?? intentAt).getTime()
      return (
        last <= now - Math.max(leastMs, (last - intentAt.getTime()) / 8) &&
        now - intentAt.getTime() < lifeMs
      )
    }
    const unsettled = this.submissions.filter(
      (one) => one.settledAt === null && this.#video(one.videoId).status === 'failed' && isDue(one),
    )
    return [...new Set(unsettled.map((one) => one.videoId))]
  }

  readonly forgetOldSnapshots = async (
    after: bigint,
  ): Promise<{ after: bigint; rows: number }> => ({
    after,
    rows: 0,
  })

  readonly forgetOldKeys = async (): Promise<number> => 0
  /** A copy to restore from. */
  copy(): StoreCopy {
    return structuredClone({
      videos: this.videos,
      submissions: this.submissions,
      timeline: this.timeline,
      generation: this.generation,
    })
  }

  /** Restored from a copy, and then what afterRestore does. */
  restore(
    { videos, submissions, timeline, generation }: StoreCopy,
    published: Map<string, number>,
    natsGeneration: number,
  ): void {
    this.videos.clear()
    for (const [id, video] of videos) this.videos.set(id, video)
    this.submissions.splice(0, Infinity, ...submissions)
    this.timeline.splice(0, Infinity, ...timeline)
    this.generation = Math.max(generation, natsGeneration) + 1
    for (const video of this.videos.values()) {
      if (video.status !== 'completed') video.restoredAt = this.#date()
      if ((published.get(video.id) ?? 0) <= video.version) continue
      video.version = published.get(video.id)!
      this.#note(video, 'restored')
    }
  }

  async highestEpoch(): Promise<bigint> {
    return [...this.videos.values()]
      .filter((video) => !isTerminal(video.status))
      .reduce((highest, { epoch }) => (epoch > highest ? epoch : highest), 0n)
  }

  async raiseGeneration(): Promise<number> {
    const highest = Math.max(
      0,
      ...[...this.videos.values()].map((video) => Math.floor(Number(video.epoch) / 2 ** 32)),
    )
    return (this.generation = Math.max(this.generation, highest) + 1)
  }
}
