/** What may happen to a video, what its machine remembers, and what it has its host do. */
import type { VideoError } from './scene-video.ts'

export interface VideoContext {
  progress: number | null
  videoUrl: string | null
  videoUrlExpiresAt: string | null
  error: VideoError | null
  /** Past its expected time. */
  slow: boolean
  /** Polls in a row without an answer. */
  misses: number
  /** How often in a row it was called done without a usable result. */
  unusable: number
}

export type VideoSignal =
  // while it is submitted
  | { type: 'WAITING' }
  | { type: 'IN_DOUBT' }
  | { type: 'RECOVERING' }
  | { type: 'ACCEPTED' }
  | { type: 'REFUSED'; error: VideoError }
  // what a poll was answered with
  | { type: 'QUEUED'; progress: number | null }
  | { type: 'RUNNING'; progress: number | null }
  | { type: 'THROTTLED'; retryAfterMs: number | null }
  | { type: 'MISSED' }
  | { type: 'UNKNOWN' }
  | { type: 'UNUSABLE'; error: VideoError }
  | { type: 'DONE'; videoUrl: string; videoUrlExpiresAt: string | null }
  | { type: 'FAILED'; error: VideoError }
  // what its host says
  /** Past its expected time. */
  | { type: 'SLOW' }
  /** The caller's deadline passed. */
  | { type: 'DEADLINE' }
  /** The provider can no longer deliver it. */
  | { type: 'EXPIRED' }
  /** Somebody asked to cancel it. */
  | { type: 'CANCEL' }
  /** The provider was asked to stop it, or cannot be. */
  | { type: 'CANCELLED' }

/** What the host does after an event, in the order given. */
export type VideoAction =
  /** Asks the provider again after its usual interval. */
  | { type: 'askAgain' }
  /** Asks again, later with every miss in a row. */
  | { type: 'askAgainAfterMiss'; misses: number }
  /** Asks again, not earlier than the provider said. */
  | { type: 'askAgainAfterThrottle'; retryAfterMs: number | null }
  /** An answer in words unknown to us: counted, logged with its body. */
  | { type: 'tellUnknown' }
  /** Has the provider stop the task, where it can; then sends CANCELLED. */
  | { type: 'cancelAtProvider' }
  /** The end is recorded: gives up the lease. */
  | { type: 'release' }
