/**
 * What the gateway takes and answers, as plain types: a browser needs no schema library for them.
 * test/client-types.test.ts holds them equal to the schemas that validate.
 */

export type Status = 'pending' | 'generating' | 'completed' | 'failed'
export type Phase =
  | 'queued'
  | 'throttled'
  | 'submitted'
  | 'running'
  | 'retrying'
  | 'overdue'
  | 'cancelling'
  | 'done'
  | 'stored'
/** Why a video failed. `provider_failed` is what a provider says in words there is no code for. */
export type VideoErrorCode =
  | 'cancelled'
  | 'timed_out'
  | 'submission_unknown'
  | 'content_policy'
  | 'invalid_request'
  | 'insufficient_balance'
  | 'bad_key'
  | 'provider_failed'
  | 'no_result'
  | 'result_removed'
  | 'unknown_provider'

/** Found again by own id, deduplicated by key, looked for by match; `none`: nobody can tell. */
export type Guarantee = 'proven' | 'by_key' | 'by_match' | 'none'

export interface Money {
  amount: number
  currency: string
}

/** What was asked for besides the prompt; null where the provider's own default was taken. */
export interface VideoParams {
  durationSeconds: number | null
  aspectRatio: string | null
  resolution: string | null
  imageUrls: string[]
}

/** Lengths in bytes, pixels and seconds; null where it could not be read. */
export interface VideoFile {
  url: string
  bytes: number
  sha256: string | null
  type: string | null
  container: string | null
  codec: string | null
  width: number | null
  height: number | null
  durationSeconds: number | null
  framesPerSecond: number | null
  hasAudio: boolean | null
  storedAt: string
  /** One frame of its beginning; null where the installation makes none. */
  poster: VideoPreview | null
  /** Small frames side by side, evenly over the duration. */
  strip: VideoStrip | null
}

/** A picture of a file. Lengths in bytes and pixels. */
export interface VideoPreview {
  url: string
  bytes: number
  type: string
  width: number
  height: number
}
export interface VideoStrip extends VideoPreview {
  frames: number
}

/** One generated video. Instants are ISO 8601 UTC; what is absent is null. */
export interface SceneVideo {
  id: string
  sceneId: string
  scriptId: string
  projectId: string
  status: Status
  phase: Phase
  /** 0–100, or null where the provider tells none. */
  progress: number | null
  /** Why nothing happens right now, and until when; null while it is worked on. */
  waiting: { reason: string; until: string | null } | null
  provider: string
  model: string
  prompt: string
  params: VideoParams
  /** The caller's own, as it was given. */
  metadata: Record<string, string | number | boolean | null>
  /** What becomes of a create whose answer is lost. */
  guarantee: Guarantee
  /** The provider's own id for the task of the current attempt. */
  taskId: string | null
  videoUrl: string | null
  videoUrlExpiresAt: string | null
  /** The kept file, once phase is `stored`. */
  file: VideoFile | null
  /** Why a completed video has no file and will have none. */
  fileLoss: { code: 'lost' | 'removed'; reason: string } | null
  /** What the provider says it used or charged, in its own words and units. */
  usage: Record<string, unknown> | null
  /** What one create of it costs by the operator's prices; null where none is known. */
  cost: Money | null
  error: { code: VideoErrorCode; message: string } | null
  attempt: number
  /** Grows with every recorded change, over all attempts. */
  version: number
  createdAt: string
  submittedAt: string | null
  startedAt: string | null
  completedAt: string | null
  updatedAt: string
}

/** What to generate; all of it optional, `prompt` falls back to the scene's. */
export interface GenerateVideo {
  prompt?: string | undefined
  provider?: string | undefined
  model?: string | undefined
  durationSeconds?: number | undefined
  /** Like `16:9`. */
  aspectRatio?: string | undefined
  resolution?: string | undefined
  /** Where the provider finds images to begin with, or ids of uploads. */
  imageUrls?: string[] | undefined
  /** Seconds after acceptance at which the video is no longer wanted. */
  deadlineSeconds?: number | undefined
  metadata?: Record<string, string | number | boolean | null> | undefined
}

/** Where a scene is. */
export interface ScenePath {
  projectId: string
  scriptId: string
  sceneId: string
}

/** One or several of them. */
type Some<T> = T | T[] | undefined
export interface ListFilter {
  status?: Some<Status>
  phase?: Some<Phase>
  errorCode?: Some<string>
  provider?: Some<string>
  model?: Some<string>
  projectId?: string | undefined
  scriptId?: string | undefined
  sceneId?: string | undefined
  /** Created then or later; before then. */
  createdFrom?: string | undefined
  createdTo?: string | undefined
  /** Part of the prompt, a task's id, or the beginning of a video's id. */
  q?: string | undefined
  metadata?: Record<string, string> | undefined
  /** By the time of creation; `desc` without it. */
  order?: 'asc' | 'desc' | undefined
}

export interface Page {
  data: SceneVideo[]
  hasMore: boolean
  /** Goes into `after` of the next page. */
  next: string | null
}

export interface TimelineEntry {
  version: number
  attempt: number
  at: string
  kind: string
  status: Status
  phase: Phase
  progress: number | null
  service: string
  detail: unknown
  /** Whose API key asked for it; null where nobody did. */
  by: { keyId: string | null; name: string | null } | null
  /** Fencing token of the owner that reported it; null where none did. */
  epoch: string | null
  /** The video as recorded then, where it was asked for; null where the entry changed nothing. */
  snapshot?: SceneVideo | null
}

export interface Project {
  id: string
  title: string
  createdAt: string
  archivedAt: string | null
  fileDays: number | null
  fileBytes: number | null
  counts: Record<Status, number>
  /** Mean over all its videos, 0–100; null without videos. */
  progress: number | null
  /** Its scenes by the status of their newest video; null where there are over 10,000. */
  scenes: Record<Status | 'none', number> | null
}

export const isEnded = (video: Pick<SceneVideo, 'status'>): boolean =>
  video.status === 'completed' || video.status === 'failed'
