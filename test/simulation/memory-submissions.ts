/**
 * What submit asks of Postgres, in memory: each method is one transaction. Held to the real
 * store by running the same operations on both. Time is the world's, in milliseconds.
 */
import type { OwedEvent } from '#libs/scene-video/messages.ts'
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
import type {
  AcceptanceResult,
  DueVideo,
  Loaded,
  NewVideo,
  Pins,
  SubmissionRecord,
  VideoRecord,
  Wait,
} from '#libs/store/submissions.ts'
import { MemoryOutbox } from './memory-outbox.ts'
import { dueAfter, newVideo, toOwed } from './rows.ts'

const noWait = { dueAt: null, waitReason: null, waitUntil: null }
const earlier = (a: Date, b: Date | null): Date => (b !== null && b < a ? b : a)

export class MemorySubmissions extends MemoryOutbox {
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

  /** The instant by this store's clock. */
  readonly date = (): Date => new Date(Date.UTC(2026, 0, 1) + this.now())

  protected video(id: string): VideoRecord {
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

  protected record(
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
      completedAt: this.date(),
      updatedAt: this.date(),
      ...noWait,
    })
    this.record(video, 'failed')
  }

  // submissions
  // ------------------------------------------------------------------------------------------

  async accept(request: NewVideo): Promise<{ video: SceneVideo; event: OwedEvent | null }> {
    const at = this.date()
    const video = newVideo(request, at)
    this.videos.set(video.id, video)
    this.record(video, 'requested')
    return { video: toSceneVideo(video), event: this.#newest() }
  }

  /** The event just recorded. */
  readonly #newest = (): OwedEvent => toOwed(this.timeline.at(-1)!)

  async load(id: string): Promise<Loaded | null> {
    const video = this.videos.get(id)
    if (!video) return null
    const now = this.date().getTime()
    const submissions = this.#sends(id)
    const until = (at: Date | null) => (at === null ? null : at.getTime() - now)
    return {
      video: { ...video },
      revision: '',
      submissions: submissions.map((one) => ({ ...one })),
      config: this.configs.get(video.projectId) ?? null,
      ageMs: submissions.map(
        (one) => now - Math.max(one.intentAt.getTime(), video.restoredAt?.getTime() ?? 0),
      ),
      untilDeadlineMs: until(video.deadlineAt),
      requestedMs: now - video.requestedAt.getTime(),
      untilTryMs: until(video.waitUntil),
      waitReason: video.waitReason,
    }
  }

  async intend(id: string, attempt: number, send: number, pins: Pins): Promise<Loaded | null> {
    const sends = this.#sends(id)
    const decision = decideIntent(this.video(id), sends, { attempt, send })
    if (decision === null) return null
    Object.assign(this.video(id), { updatedAt: this.date(), waitReason: null, waitUntil: null })
    if (decision === 'replace')
      Object.assign(this.#submission(id, attempt, send - 1)!, {
        send,
        answer: null,
        detail: null,
        intentAt: this.date(),
        answeredAt: null,
        settledAt: null,
      })
    else this.#intended({ videoId: id, attempt, send, ...pins })
    return this.load(id)
  }

  async addDoubtfulIntentsAfterRestore(id: string, pins: Pins): Promise<number> {
    const video = this.video(id)
    const { restoredAt } = video
    if (video.status !== 'pending' || restoredAt === null) return 0
    const isKnown = (one: SubmissionRecord) =>
      one.answer === null ||
      ['accepted', 'unreadable', 'refused', 'lost'].includes(one.answer) ||
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
      intentAt: this.date(),
      answeredAt: null,
      settledAt: null,
    })
  }

  async accepted(
    id: string,
    task: { attempt: number; send: number; taskId: string; how: AcceptedHow },
  ): Promise<AcceptanceResult> {
    const { attempt, send, taskId, how } = task
    const video = this.video(id)
    const sends = this.#sends(id)
    const { fate, moves, record } = decideAcceptance(video, sends, task)
    const submission = this.#submission(id, attempt, send)!
    const answered = { answer: 'accepted', taskId, detail: how, answeredAt: this.date() }
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
    if (!moves) return { fate, event: null }
    Object.assign(video, {
      taskId,
      phase: 'submitted',
      version: video.version + 1,
      submittedAt: this.date(),
      updatedAt: this.date(),
      ...noWait,
    })
    this.record(video, 'submitted')
    return { fate, event: this.#newest() }
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
        answeredAt: this.date(),
        settledAt: answer === 'unreadable' ? null : this.date(),
      })
  }

  async looked(id: string, attempt: number, send: number): Promise<void> {
    this.#submission(id, attempt, send)!.lookedAt = this.date()
  }

  async wait(id: string, attempt: number, { reason, ms, phase }: Wait) {
    const video = this.video(id)
    if (!isWaitingAt(video, attempt)) return null
    const at = this.date()
    const isDue = new Date(at.getTime() + Math.round(ms) + 15_000)
    Object.assign(video, {
      waitReason: reason,
      waitUntil: new Date(at.getTime() + Math.round(ms)),
      dueAt: video.cancelRequested ? video.dueAt : earlier(isDue, video.deadlineAt),
      updatedAt: at,
    })
    if (phase === null || video.phase === phase) return null
    Object.assign(video, { phase, version: video.version + 1 })
    this.record(video, 'progress')
    return this.#newest()
  }

  async takeDue(limit: number): Promise<DueVideo[]> {
    const now = this.date()
    const due = [...this.videos.values()]
      .filter((video) => video.dueAt !== null && video.dueAt <= now)
      .toSorted((a, b) => a.dueAt!.getTime() - b.dueAt!.getTime())
      .slice(0, limit)
    return due.flatMap((video) => {
      const isPending = video.status === 'pending' && video.taskId === null
      video.dueAt = isPending ? new Date(now.getTime() + 60_000) : null
      if (!isPending) return []
      const { deadlineAt } = video
      const untilDeadlineMs = deadlineAt && deadlineAt.getTime() - now.getTime()
      const requestedMs = now.getTime() - video.requestedAt.getTime()
      return [{ ...video, untilDeadlineMs, requestedMs }]
    })
  }

  async keepInHand(ids: string[]): Promise<void> {
    const at = this.date()
    for (const video of ids.map((id) => this.video(id))) {
      if (video.status !== 'pending' || video.taskId !== null) continue
      video.updatedAt = at
      if (!video.cancelRequested)
        video.dueAt = earlier(new Date(at.getTime() + 60_000), video.deadlineAt)
    }
  }

  async handBack(): Promise<number> {
    const now = this.date()
    const held = this.open(false).filter((video) => video.dueAt !== null && video.dueAt > now)
    for (const video of held) {
      const until = video.waitUntil && earlier(video.waitUntil, video.deadlineAt)
      video.dueAt = until && until > now ? until : now
    }
    return held.length
  }

  readonly #proven = new Set<string>()
  readonly isProven = async (accountId: string): Promise<boolean> => this.#proven.has(accountId)
  readonly prove = async (accountId: string): Promise<void> => void this.#proven.add(accountId)

  async failPending(id: string, attempt: number, error: VideoError): Promise<OwedEvent | null> {
    const video = this.video(id)
    if (!isWaitingAt(video, attempt)) return null
    this.#fail(video, error)
    return this.#newest()
  }

  async cancel(
    userId: string,
    id: string,
    attempt: number | null,
  ): Promise<{ video: SceneVideo; ownerActs: boolean }> {
    const video = this.#own(userId, id)
    const atOnce = decideCancel(video, this.#sends(id), attempt) === 'at_once'
    if (atOnce) this.#fail(video, cancelledBeforeSubmission)
    else {
      video.cancelRequested = true
      video.dueAt = video.taskId === null ? new Date(this.date().getTime() + 1_000) : null
      this.note(video, 'cancel_requested')
    }
    return { video: toSceneVideo(video), ownerActs: !atOnce }
  }

  async retry(userId: string, id: string, attempt: number | null): Promise<SceneVideo> {
    const video = this.#own(userId, id)
    requireRetry(video, attempt)
    const at = this.date()
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
      requestedAt: at,
      ...dueAfter(video.deadlineSeconds, at),
    })
    this.record(video, 'requested')
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
    Object.assign(submission, { settledAt: this.date(), outcome: said })
    this.note(this.video(id), `late ${said}`)
    return true
  }

  protected note(video: VideoRecord, kind: string): void {
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

  protected open(withTask: boolean): VideoRecord[] {
    return [...this.videos.values()].filter(
      (video) => !isTerminal(video.status) && (video.taskId !== null) === withTask,
    )
  }
}
