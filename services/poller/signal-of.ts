import type { TaskAnswer } from '#libs/provider/provider.ts'
import type { VideoSignal } from '#libs/scene-video/signals.ts'

/** What an answer is to the machine. */
export function signalOf(answer: TaskAnswer): VideoSignal {
  switch (answer.kind) {
    case 'working':
      return { type: answer.phase === 'queued' ? 'QUEUED' : 'RUNNING', progress: answer.progress }
    case 'done':
      return { type: 'DONE', videoUrl: answer.videoUrl, videoUrlExpiresAt: answer.expiresAt }
    case 'failed':
      return { type: 'FAILED', error: answer.error }
    case 'unusable':
      return { type: 'UNUSABLE', error: answer.error }
    case 'unknown':
      return { type: 'UNKNOWN' }
    case 'later':
      return { type: 'THROTTLED', retryAfterMs: answer.retryAfterMs }
    default:
      return { type: 'MISSED' }
  }
}
