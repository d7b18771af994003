/** The rows of the store in memory. */
import type { FileRow } from './memory-files.ts'
import type { OwedEvent, VideoEvent } from '#libs/scene-video/messages.ts'
import type { NewVideo, SubmissionRecord, VideoRecord } from '#libs/store/submissions.ts'

/** With `owed`: an event not known to be published. */
export interface TimelineRow {
  id: number
  videoId: string
  version: number
  kind: string
  event: string | null
  attempt: number
  epoch: bigint
  owed: boolean
  sequence: number | null
  at: number
  body: VideoEvent | null
}

export const toOwed = (row: TimelineRow): OwedEvent => ({
  timelineId: BigInt(row.id),
  event: row.event!,
  at: '',
  body: row.body!,
})

export interface StoreCopy {
  videos: Map<string, VideoRecord>
  submissions: SubmissionRecord[]
  timeline: TimelineRow[]
  files: Map<string, FileRow>
  generation: number
}

export function refill<T>(rows: Map<string, T>, from: Map<string, T>): void {
  rows.clear()
  for (const [id, row] of from) rows.set(id, row)
}

const after = (at: Date, seconds: number) => new Date(at.getTime() + seconds * 1_000)

/** The instants of an attempt that begins now. */
export const dueAfter = (deadlineSeconds: number | null, at: Date) => ({
  deadlineAt: deadlineSeconds === null ? null : after(at, deadlineSeconds),
  dueAt: after(at, Math.min(deadlineSeconds ?? 20, 20)),
})

export function newVideo(request: NewVideo, at: Date): VideoRecord {
  const { deadlineSeconds } = request.body
  return {
    id: request.id,
    sceneId: request.sceneId,
    scriptId: request.scriptId,
    projectId: request.projectId,
    userId: request.userId,
    status: 'pending',
    phase: 'queued',
    progress: null,
    provider: request.body.provider ?? request.system.provider,
    model: 'm',
    prompt: request.body.prompt ?? '',
    params: {},
    taskId: null,
    videoUrl: null,
    videoUrlExpiresAt: null,
    errorCode: null,
    errorMessage: null,
    attempt: 1,
    version: 1,
    epoch: 0n,
    reportNo: 0,
    session: null,
    cancelRequested: false,
    restoredAt: null,
    file: null,
    deadlineSeconds: deadlineSeconds ?? null,
    requestedAt: at,
    waitReason: null,
    waitUntil: null,
    guarantee: null,
    usage: null,
    cost: null,
    erasedAt: null,
    ...dueAfter(deadlineSeconds ?? null, at),
    createdAt: at,
    submittedAt: null,
    startedAt: null,
    completedAt: null,
    updatedAt: at,
  }
}
