/**
 * What the services ask of Postgres, in memory: each method is one transaction. Held to the real
 * store by running the same operations on both. Time is the world's, in milliseconds.
 */
import type { Grant, Report } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { Bid, Claimed } from '#libs/store/commit-claims.ts'
import type { Promised, Promises } from '#libs/store/recovery.ts'
import type { Fate, Outcome } from '#libs/store/reports.ts'
import type { SubmissionRecord, VideoRecord } from '#libs/store/submissions.ts'
import { MemoryProviderAccounts } from './memory-provider-accounts.ts'
import { MemorySubmissions } from './memory-submissions.ts'
import { refill, toOwed, type StoreCopy } from './rows.ts'

/** As shipped. */
export const reconcilerSettings = {
  staleAfterMs: 180_000,
  resultLifeMs: 24 * 3_600_000,
  eventDays: 7,
}

export class MemoryStore extends MemorySubmissions {
  readonly providerAccounts = new MemoryProviderAccounts(() => +this.date(), this.videos)

  // claims and reports
  // -----------------------------------------------------------------------------------------------

  async commitClaims(session: string, bids: Bid[]): Promise<Claimed> {
    const now = this.date().getTime()
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
          userId: video.userId,
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
          sinceSignOfLifeMs: now - video.updatedAt.getTime(),
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
      this.note(video, `late ${change.status}`)
      return 'late'
    }
    const cause = { attempt, epoch }
    const at = this.date()
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
      this.record(video, 'generating', cause)
    }
    Object.assign(video, {
      status: change.status,
      dueAt: null,
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
    const isGivenUp = ['cancelled', 'timed_out', 'no_result'].includes(change.error?.code ?? '')
    const settles = change.status === 'completed' || (change.status === 'failed' && !isGivenUp)
    if (settles && video.taskId !== null)
      for (const one of this.submissions)
        if (one.videoId === id && one.taskId === video.taskId)
          Object.assign(one, { settledAt: at, outcome: change.status })
    this.record(
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
    return this.date().getTime() - video.updatedAt.getTime()
  }

  readonly pendingVideos = async (overdueMs: number): Promise<string[]> =>
    this.open(false)
      .filter(
        ({ dueAt, updatedAt }) =>
          this.date().getTime() - (dueAt ?? updatedAt).getTime() >= overdueMs,
      )
      .map((video) => video.id)

  async staleVideos(idleMs: number): Promise<{ id: string; taskId: string; epoch: bigint }[]> {
    return this.open(true)
      .filter((video) => this.#idle(video) > idleMs)
      .map(({ id, taskId, epoch }) => ({ id, taskId: taskId!, epoch }))
  }

  async videosWithOpenTask(): Promise<string[]> {
    return this.open(true).map((video) => video.id)
  }

  async unkeptPromises(): Promise<Promises> {
    const unkept = this.open(true).flatMap(({ id, cancelRequested, deadlineAt }): Promised[] => {
      if (cancelRequested) return [{ id, promise: 'cancel' }]
      return deadlineAt && +deadlineAt < +this.date() - 2_000 ? [{ id, promise: 'deadline' }] : []
    })
    return { unkept, anyInHand: this.open(true).length > 0 }
  }

  async ended(ids: string[]): Promise<string[]> {
    return ids.filter((id) => isTerminal(this.videos.get(id)?.status ?? 'failed'))
  }

  async unsettledVideos(lifeMs: number, leastMs = 10_000): Promise<string[]> {
    const now = this.date().getTime()
    const isDue = ({ intentAt, lookedAt }: SubmissionRecord) => {
      const last = (lookedAt ?? intentAt).getTime()
      return (
        last <= now - Math.max(leastMs, (last - intentAt.getTime()) / 8) &&
        now - intentAt.getTime() < lifeMs
      )
    }
    const unsettled = this.submissions.filter(
      (one) => one.settledAt === null && this.video(one.videoId).status === 'failed' && isDue(one),
    )
    return [...new Set(unsettled.map((one) => one.videoId))]
  }

  readonly forgetOldSnapshots = async (after: bigint) => ({ after, rows: 0 })

  readonly forgetOldKeys = async (): Promise<number> => 0
  /** A copy to restore from. */
  copy(): StoreCopy {
    return structuredClone({
      videos: this.videos,
      submissions: this.submissions,
      timeline: this.timeline,
      files: this.files.rows,
      generation: this.generation,
    })
  }

  /** Restored from a copy, and then what afterRestore does. */
  restore(
    { videos, submissions, timeline, files, generation }: StoreCopy,
    published: Map<string, number>,
    natsGeneration: number,
  ): void {
    refill(this.videos, videos)
    refill(this.files.rows, files)
    this.submissions.splice(0, Infinity, ...submissions)
    this.timeline.splice(0, Infinity, ...timeline)
    this.generation = Math.max(generation, natsGeneration) + 1
    for (const video of this.videos.values()) {
      if (video.status !== 'completed') video.restoredAt = this.date()
      if ((published.get(video.id) ?? 0) <= video.version) continue
      video.version = published.get(video.id)!
      this.note(video, 'restored')
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
