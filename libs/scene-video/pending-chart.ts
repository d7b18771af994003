/**
 * The statechart's part for a video that waits for its acceptance: what submit's events lead to,
 * and the errors it ends with. Its guards and actions are machine.ts's.
 */
import { maxSends } from './decisions.ts'
import type { VideoError } from './scene-video.ts'
import type { PendingFacts } from './signals.ts'

const doubt = 'If a send of it was accepted after all, that is watched, and a retry takes it.'
export const cancelledInDoubt: VideoError = {
  code: 'cancelled',
  message: `Cancelled before the provider’s acceptance was known. ${doubt}`,
}
export const sendsLost: VideoError = {
  code: 'submission_unknown',
  message: `The provider lost ${maxSends} sends of it; a retry sends it again.`,
}
export function pendingTimedOut({ waitReason }: PendingFacts): VideoError {
  const waited = waitReason === null ? '' : ` It waited: ${waitReason}.`
  return {
    code: 'timed_out',
    message: `Its time was over before the provider’s acceptance was known.${waited} ${doubt}`,
  }
}

/** What submit may be told at any moment of a pending video. */
export const settling = {
  ACCEPTED: { target: '#video.pending.submitted', actions: 'queuePoll' },
  REFUSED: { target: '#video.failed', actions: 'setError' },
  LOST: { target: '#video.failed', actions: 'setError' },
  DEADLINE: { target: '#video.failed', actions: 'setPendingTimedOut' },
} as const
/** Nothing that was sent may still be accepted: it is sent, unless a look-up comes first. */
const free = {
  TURN: [
    // rule: what may have been accepted is looked up
    { guard: 'isToLookUp', target: '#video.pending.recovering', actions: 'lookUp' },
    { guard: 'hadAllSends', target: '#video.failed', actions: 'setError' },
    { actions: 'intend' },
  ],
  INTENT: { target: '#video.pending.sending', actions: 'create' },
  WAITING: { target: '#video.pending.throttled', actions: 'tryAgain' },
  HELD: { actions: 'tryAgain' },
  CANCEL: { target: '#video.failed', actions: 'setError' },
} as const
const inDoubt = { target: '#video.pending.inDoubt', actions: 'tryAgain' } as const
const held = { target: '#video.pending.queued', actions: 'tryAgain' } as const

export const pendingStates = {
  queued: { on: free },
  throttled: { on: free },
  sending: {
    on: {
      WAITING: { target: 'throttled', actions: 'tryAgain' },
      HELD: held,
      IN_DOUBT: inDoubt,
      CANCEL: 'cancelling',
    },
  },
  inDoubt: {
    on: {
      TURN: { target: 'recovering', actions: 'lookUp' },
      CANCEL: 'cancelling',
    },
  },
  recovering: {
    on: {
      ABSENT: [
        { guard: 'hadAllSends', target: '#video.failed', actions: 'setError' },
        { target: 'queued', actions: 'intend' },
      ],
      IN_DOUBT: inDoubt,
      HELD: held,
      CANCEL: 'cancelling',
    },
  },
  cancelling: {
    on: {
      CANCELLED: { target: '#video.failed', actions: 'setCancelledInDoubt' },
    },
  },
} as const
