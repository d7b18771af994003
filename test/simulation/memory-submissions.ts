/**
 * What submit asks of Postgres, in memory: each method is one transaction. Held to the real
 * store by running the same operations on both. Time is the world's, in milliseconds.
 */
import { MemoryPending } from './memory-pending.ts'
import {
  decideAcceptance,
  decideIntent,
  type AcceptedHow,
  type NoTask,
} from '#libs/scene-video/decisions.ts'
import { toSceneVideo } from '#libs/store/rows.ts'
import type {
  AcceptanceResult,
  Accepted,
  Loaded,
  NewVideo,
  Pins,
  SubmissionRecord,
  SubmissionWriter,
} from '#libs/store/submissions.ts'
import type { CalledTask } from '#libs/store/sends.ts'
import { newVideo } from './rows.ts'

const noWait = { dueAt: null, waitReason: null, waitUntil: null }

export class MemorySubmissions extends MemoryPending {
  async acceptRequest(request: NewVideo): Promise<Accepted> {
    const at = this.date()
    const video = newVideo(request, at)
    this.videos.set(video.id, video)
    this.record(video, 'requested')
    const loaded = (await this.load(video.id))!
    return { video: toSceneVideo(video), made: { event: this.newest(), loaded } }
  }

  /** The event just recorded. */
  async load(id: string): Promise<Loaded | null> {
    const video = this.videos.get(id)
    if (!video) return null
    const now = this.date().getTime()
    const submissions = this.sends(id)
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
    const sends = this.sends(id)
    const decision = decideIntent(this.video(id), sends, { attempt, send })
    if (decision === null) return null
    Object.assign(this.video(id), {
      updatedAt: this.date(),
      waitReason: null,
      waitUntil: null,
    })
    if (decision === 'replace')
      Object.assign(this.submission(id, attempt, send - 1)!, {
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
      calledTaskId: null,
      outcome: null,
      lookedAt: null,
      answer: null,
      detail: null,
      intentAt: this.date(),
      answeredAt: null,
      settledAt: null,
    })
  }

  async recordAcceptance(
    id: string,
    task: { attempt: number; send: number; taskId: string; how: AcceptedHow },
  ): Promise<AcceptanceResult> {
    const { attempt, send, taskId, how } = task
    const video = this.video(id)
    const sends = this.sends(id)
    const { fate, moves, record } = decideAcceptance(video, sends, task)
    if (record !== 'known' && (await this.isOfAnother({ id, ...task })))
      return { fate: 'of_another', event: null }
    const submission = this.submission(id, attempt, send)!
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
      dueAt: new Date(this.date().getTime() + 20_000),
    })
    this.record(video, 'submitted')
    return { fate, event: this.newest() }
  }

  async isOfAnother({ id, attempt, send, taskId }: Parameters<SubmissionWriter['isOfAnother']>[0]) {
    const sent = this.submission(id, attempt, send)!
    const since = this.date().getTime() - 86_400_000
    return this.submissions.some(
      (one) =>
        one.taskId === taskId &&
        one.videoId !== id &&
        one.provider === sent.provider &&
        one.baseUrl === sent.baseUrl &&
        one.intentAt.getTime() > since,
    )
  }

  async answered(
    id: string,
    attempt: number,
    send: number,
    answer: NoTask,
    detail: string,
    isOpen = answer === 'unreadable',
  ): Promise<void> {
    const submission = this.submission(id, attempt, send)
    if (submission && submission.answer !== 'accepted')
      Object.assign(submission, {
        answer,
        detail,
        answeredAt: this.date(),
        settledAt: isOpen ? null : this.date(),
      })
  }

  async keepCallback({ id, attempt, provider, taskId }: CalledTask) {
    const last = this.sends(id).findLast((one) => one.attempt === attempt)
    const isOpen = last?.answer === null || last?.answer === 'unreadable' || last?.answer === 'lost'
    const isUnknown = last?.taskId === null && last.calledTaskId !== taskId
    if (!last || !isOpen || !isUnknown || last.provider !== provider) return null
    const settledAt = last.answer === 'lost' ? null : last.settledAt
    Object.assign(last, { calledTaskId: taskId, settledAt, lookedAt: null })
    return this.video(id).status
  }

  async looked(id: string, attempt: number, send: number): Promise<void> {
    this.submission(id, attempt, send)!.lookedAt = this.date()
  }

  async noteLate(
    id: string,
    attempt: number,
    send: number,
    said: 'completed' | 'failed',
    _detail: Record<string, string | null>,
  ): Promise<boolean> {
    const submission = this.submission(id, attempt, send)
    if (!submission || submission.outcome !== null) return false
    Object.assign(submission, { settledAt: this.date(), outcome: said })
    this.note(this.video(id), `late ${said}`)
    return true
  }
}
