import type { SceneVideo, Phase, Status, ErrorCode } from '#libs/scene-video/scene-video.ts'
import type { OwedEvent, VideoEvent as Event } from '#libs/scene-video/messages.ts'

type Instant = Date | string
/** A SceneVideo row, read through Prisma (Dates) or out of a timeline snapshot (strings). */
export interface VideoRow {
  id: string
  sceneId: string
  scriptId: string
  projectId: string
  userId: string
  status: Status
  phase: string
  progress: number | null
  provider: string
  model: string
  prompt: string
  taskId: string | null
  videoUrl: string | null
  videoUrlExpiresAt: Instant | null
  errorCode: string | null
  errorMessage: string | null
  attempt: number
  version: number
  createdAt: Instant
  submittedAt: Instant | null
  startedAt: Instant | null
  completedAt: Instant | null
  updatedAt: Instant
}

const iso = (at: Instant) => new Date(at).toISOString()
const isoOrNull = (at: Instant | null) => (at === null ? null : iso(at))

/** The public form of a row. */
export function toSceneVideo(row: VideoRow): SceneVideo {
  return {
    id: row.id,
    sceneId: row.sceneId,
    scriptId: row.scriptId,
    projectId: row.projectId,
    status: row.status,
    phase: row.phase as Phase,
    progress: row.progress,
    provider: row.provider,
    model: row.model,
    prompt: row.prompt,
    taskId: row.taskId,
    videoUrl: row.videoUrl,
    videoUrlExpiresAt: isoOrNull(row.videoUrlExpiresAt),
    error:
      row.errorCode === null
        ? null
        : { code: row.errorCode as ErrorCode, message: row.errorMessage ?? '' },
    attempt: row.attempt,
    version: row.version,
    createdAt: iso(row.createdAt),
    submittedAt: isoOrNull(row.submittedAt),
    startedAt: isoOrNull(row.startedAt),
    completedAt: isoOrNull(row.completedAt),
    updatedAt: iso(row.updatedAt),
  }
}

export const toVideoEvent = (row: VideoRow): Event => ({ ...toSceneVideo(row), userId: row.userId })

/** A row of the timeline as it was just written. */
export interface Recorded {
  timelineId: bigint
  event: string
  at: Date
  snapshot: VideoRow
}

export const owedEvent = ({ timelineId, event, at, snapshot }: Recorded): OwedEvent => ({
  timelineId,
  event,
  at: at.toISOString(),
  body: toVideoEvent(snapshot),
})
