/** The rows of videos, sends and the timeline in memory, as transactions find and change them. */
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { VideoError } from '#libs/scene-video/scene-video.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { toVideoEvent } from '#libs/store/rows.ts'
import type { SubmissionRecord, VideoRecord } from '#libs/store/submissions.ts'
import { MemoryFiles } from './memory-files.ts'
import { MemoryOutbox } from './memory-outbox.ts'
import { toOwed } from './rows.ts'

const noWait = { dueAt: null, waitReason: null, waitUntil: null }

export class MemoryRows extends MemoryOutbox {
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

  readonly files = new MemoryFiles({
    videos: this.videos,
    submissions: this.submissions,
    date: this.date,
    record: (video, event) => {
      this.record(video, event)
      return this.newest()
    },
    note: (video, kind) => this.note(video, kind),
  })

  protected video(id: string): VideoRecord {
    const video = this.videos.get(id)
    if (!video) throw new Error(`no video ${id}`)
    return video
  }

  protected own(userId: string, id: string): VideoRecord {
    const video = this.videos.get(id)
    if (!video || video.userId !== userId) throw new Refused('not_found', 'There is no such video.')
    return video
  }

  protected sends(id: string): SubmissionRecord[] {
    return this.submissions
      .filter((one) => one.videoId === id)
      .toSorted((a, b) => a.attempt - b.attempt || a.send - b.send)
  }

  protected submission(id: string, attempt: number, send: number): SubmissionRecord | undefined {
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

  protected fail(video: VideoRecord, error: VideoError): void {
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

  /** The event just recorded. */
  protected readonly newest = (): OwedEvent => toOwed(this.timeline.at(-1)!)

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
