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
  /** Of a video that waits for its acceptance. */
  pending: PendingFacts
}

/** What the machine goes by while a video waits for its acceptance; read from its row and sends. */
export interface PendingFacts {
  /** What the record shows meanwhile: throttled, once the provider had it wait. */
  shown: 'queued' | 'throttled'
  /** Sends of this attempt, or of earlier ones, may have been accepted. */
  isToLookUp: boolean
  hadAllSends: boolean
  /** Why it waited last. */
  waitReason: string | null
}

export type VideoSignal =
  // while it waits for its acceptance
  /** Its time has come, and nothing is under way for it. */
  | { type: 'TURN' }
  /** The provider, its circuit or its account's budget has it wait. */
  | { type: 'WAITING'; reason: string; ms: number }
  /** Something else is in the way; null where there is nothing to say of it. */
  | { type: 'HELD'; reason: string | null; ms: number }
  /** The intent to send is committed. */
  | { type: 'INTENT' }
  /** What was sent may or may not have been accepted; looked up after `ms`. */
  | { type: 'IN_DOUBT'; reason: string; ms: number }
  /** Nothing of what was sent was accepted. */
  | { type: 'ABSENT' }
  /** Nobody can tell whether it was accepted, and nobody ever will. */
  | { type: 'LOST'; reason: string }
  /** Its acceptance is recorded. */
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
  /** The archiver has kept the file of a completed video. */
  | { type: 'STORED' }
  /** Its owner record was taken from this host. */
  | { type: 'REVOKED' }

/** What submit does after an event of a pending video. */
export type PendingAction =
  /** Asks the provider what its sends became. */
  | { type: 'lookUp' }
  /** Commits the intent to send; then sends INTENT. */
  | { type: 'intend' }
  /** Sends the create that was intended. */
  | { type: 'create' }
  /** Queues it for the pollers. */
  | { type: 'queuePoll' }
  /** Sends TURN when so many milliseconds have passed. */
  | { type: 'tryAgain'; ms: number }

/** What a poller does after an event, in the order given. */
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
  /** The end is recorded: gives up the owner record. */
  | { type: 'release' }
  /** It is somebody else's: forgets it without a word. */
  | { type: 'drop' }
