/** What waits for its acceptance, in memory: each method is one transaction. */
import { MemoryRows } from './memory-rows.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { SceneVideo, VideoError } from '#libs/scene-video/scene-video.ts'
import {
  cancelledBeforeSubmission,
  decideCancel,
  isWaitingAt,
  requireRetry,
} from '#libs/scene-video/decisions.ts'
import { toSceneVideo } from '#libs/store/rows.ts'
import type { DueVideo, VideoOrder, Wait } from '#libs/store/submissions.ts'
import { dueAfter } from './rows.ts'

const heldMs = 20_000
const earlier = (a: Date, b: Date | null): Date => (b !== null && b < a ? b : a)

export class MemoryPending extends MemoryRows {
  async recordWait(id: string, attempt: number, { reason, ms, phase }: Wait) {
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
    return this.newest()
  }

  async takeDue(limit: number): Promise<DueVideo[]> {
    const now = this.date()
    const due = [...this.videos.values()]
      .filter((video) => video.dueAt !== null && video.dueAt <= now)
      .toSorted((a, b) => a.dueAt!.getTime() - b.dueAt!.getTime())
      .slice(0, limit)
    return due.flatMap((video) => {
      const { status, taskId, session, attempt } = video
      const isHeld = status === 'pending' && (taskId === null || session === null)
      video.dueAt = isHeld ? new Date(now.getTime() + heldMs) : null
      if (!isHeld && !(status === 'pending' && attempt > 1)) return []
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
        video.dueAt = earlier(new Date(at.getTime() + heldMs), video.deadlineAt)
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

  /** Its provider looks up by own id. */
  readonly sentBeside = async () => ({ known: [], hasRivals: false })
  readonly #proven = new Set<string>()
  readonly isProven = async (ids: string[]): Promise<boolean> =>
    ids.some((id) => this.#proven.has(id))
  readonly prove = async (accountId: string): Promise<void> => void this.#proven.add(accountId)

  async failPending(id: string, attempt: number, error: VideoError): Promise<OwedEvent | null> {
    const video = this.video(id)
    if (!isWaitingAt(video, attempt)) return null
    this.fail(video, error)
    return this.newest()
  }

  async cancel({
    userId,
    id,
    attempt,
  }: VideoOrder): Promise<{ video: SceneVideo; ownerActs: boolean }> {
    const video = this.own(userId, id)
    const atOnce = decideCancel(video, this.sends(id), attempt) === 'at_once'
    if (atOnce) this.fail(video, cancelledBeforeSubmission)
    else if (!video.cancelRequested) {
      video.cancelRequested = true
      if (video.taskId === null) video.dueAt = new Date(this.date().getTime() + 1_000)
      video.version++
      video.updatedAt = this.date()
      this.record(video, 'progress')
    }
    return { video: toSceneVideo(video), ownerActs: !atOnce }
  }

  async retry({ userId, id, attempt }: VideoOrder) {
    const video = this.own(userId, id)
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
    return { video: toSceneVideo(video), repeated: false }
  }
}
