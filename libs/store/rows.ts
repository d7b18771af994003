import {
  isTerminal,
  type ErrorCode,
  type Guarantee,
  type Money,
  type Phase,
  type SceneVideo,
  type Status,
} from '#libs/scene-video/scene-video.ts'
import type { PreviewKind, VideoFile } from '#libs/scene-video/video-file.ts'
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
  cancelRequested: boolean
  params: unknown
  waitReason: string | null
  waitUntil: Instant | null
  guarantee: string | null
  usage: unknown
  cost: unknown
  file: unknown
}

const iso = (at: Instant) => new Date(at).toISOString()
const isoOrNull = (at: Instant | null) => (at === null ? null : iso(at))

const text = (value: unknown) => (typeof value === 'string' ? value : null)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * As accepted, where it was checked; on the path of every event, so not checked again. Snapshots of
 * older versions have none.
 */
function paramsOf({ params }: VideoRow): Pick<SceneVideo, 'params' | 'metadata'> {
  const given = isObject(params) ? params : {}
  const { durationSeconds, imageUrls, metadata } = given
  return {
    params: {
      durationSeconds: typeof durationSeconds === 'number' ? durationSeconds : null,
      aspectRatio: text(given['aspectRatio']),
      resolution: text(given['resolution']),
      imageUrls: Array.isArray(imageUrls) ? imageUrls.filter((url) => text(url) !== null) : [],
    },
    metadata: isObject(metadata) ? (metadata as SceneVideo['metadata']) : {},
  }
}

/** Of a video that is polled only the phase tells it. */
const waitingPhases: Record<string, string> = {
  throttled: 'The provider, or the budget of its account, has us wait.',
  retrying: 'The provider gives no usable answer; it is asked again.',
}

function waitingOf({ status, phase, waitReason, waitUntil }: VideoRow): SceneVideo['waiting'] {
  if (status === 'pending' && waitReason)
    return { reason: waitReason, until: isoOrNull(waitUntil ?? null) }
  const reason = status === 'generating' ? waitingPhases[phase] : undefined
  return reason === undefined ? null : { reason, until: null }
}

/** Of the column: {state: 'stored', …facts}, or {state: 'lost' | 'removed', reason}. */
function fileOf({ id, file }: VideoRow): Pick<SceneVideo, 'file' | 'fileLoss'> {
  if (!isObject(file)) return { file: null, fileLoss: null }
  const { state, reason, storedAt, ...facts } = file
  const { poster, strip } = facts as Partial<Pick<VideoFile, PreviewKind>>
  if (state !== 'stored')
    return {
      file: null,
      fileLoss: { code: state === 'removed' ? 'removed' : 'lost', reason: String(reason) },
    }
  return {
    // as the archiver recorded it
    file: {
      ...(facts as Omit<VideoFile, 'url' | 'storedAt' | PreviewKind>),
      url: filePath(id),
      storedAt: iso(storedAt as string),
      poster: poster ? { ...poster, url: previewPath(id, 'poster') } : null,
      strip: strip ? { ...strip, url: previewPath(id, 'strip') } : null,
    },
    fileLoss: null,
  }
}

export const filePath = (id: string): string => `/api/scene-videos/${id}/file`
const previewPath = (id: string, kind: PreviewKind) => `/api/scene-videos/${id}/${kind}`

/** The public form of a row. */
export function toSceneVideo(row: VideoRow): SceneVideo {
  return {
    id: row.id,
    sceneId: row.sceneId,
    scriptId: row.scriptId,
    projectId: row.projectId,
    status: row.status,
    // asked for and not carried out yet
    phase: row.cancelRequested && !isTerminal(row.status) ? 'cancelling' : (row.phase as Phase),
    progress: row.progress,
    provider: row.provider,
    model: row.model,
    prompt: row.prompt,
    ...paramsOf(row),
    waiting: waitingOf(row),
    guarantee: (row.guarantee ?? 'none') as Guarantee,
    ...fileOf(row),
    usage: isObject(row.usage) ? row.usage : null,
    // as the gateway priced it
    cost: isObject(row.cost) ? (row.cost as Money) : null,
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
