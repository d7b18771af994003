/**
 * The life of one attempt of a SceneVideo, as a statechart. It decides everything that happens to
 * a video once it is asked for: what the answer to a create and to a poll means, when something is
 * looked up and when it is sent, when misses show, what a cancel, a deadline and slowness lead to.
 * Its host (submit while it is pending, then a poller) sends what it saw as events (`advance`),
 * keeps where it then stands, records what changed, and executes the actions.
 *
 * `sending` and `recovering` last only while a process is at it. The row of one that died there
 * reads `inDoubt`, or `queued` where only earlier attempts were looked up.
 *
 * Pure: it performs nothing and waits for nothing. Instants are the host's, since XState does not
 * restore `after` timers (statelyai/xstate#5331); what they lead to is an event of the machine.
 *
 * Between two events a video is kept as a `VideoState`, a few plain values, from which the machine
 * is resolved when something happens. No actor object is started: one takes 4.4–4.9 KB a video, and
 * most polls change nothing.
 */
import { assign, setup } from 'xstate'
import { cancelledBeforeSubmission } from './decisions.ts'
import {
  cancelledInDoubt,
  pendingStates,
  pendingTimedOut,
  sendsLost,
  settling,
} from './pending-chart.ts'
import type { VideoError } from './scene-video.ts'
import type { VideoContext, VideoSignal } from './signals.ts'

/** Misses in a row before a video is shown as retrying. */
const missesToShow = 2
/** So often in a row done without a usable result, and it is the end. */
const unusableToEnd = 3

const cancelled: VideoError = {
  code: 'cancelled',
  message: 'Cancelled. The provider cannot stop a running task; it may still be billed.',
}
const deadlinePassed: VideoError = {
  code: 'timed_out',
  message: 'The deadline passed before the video was done.',
}
const resultGone: VideoError = {
  code: 'timed_out',
  message: 'The provider can no longer deliver it: its results’ life has passed.',
}

const working = {
  QUEUED: [
    { guard: 'isSlow', target: '#video.generating.overdue', actions: ['answered', 'askAgain'] },
    { target: '#video.generating.queued', actions: ['answered', 'askAgain'] },
  ],
  RUNNING: [
    { guard: 'isSlow', target: '#video.generating.overdue', actions: ['answered', 'askAgain'] },
    { target: '#video.generating.running', actions: ['answered', 'askAgain'] },
  ],
} as const
const missed = { actions: ['countMiss', 'askAgainAfterMiss'] } as const
const throttled = { actions: ['clearCounts', 'askAgainAfterThrottle'] } as const
const ending = {
  DONE: { target: '#video.completed', actions: 'setResult' },
  FAILED: { target: '#video.failed', actions: 'setError' },
  REFUSED: { target: '#video.failed', actions: 'setError' },
  DEADLINE: { target: '#video.failed', actions: 'setError' },
  EXPIRED: { target: '#video.failed', actions: 'setError' },
} as const
/** What a poll may be answered with that is neither progress nor an end. */
const vague = {
  UNKNOWN: { actions: ['clearCounts', 'tellUnknown', 'askAgain'] },
  UNUSABLE: [
    { guard: 'isUnusable', target: '#video.failed', actions: 'setError' },
    { actions: ['countUnusable', 'tellUnknown', 'askAgain'] },
  ],
} as const

export const videoMachine = setup({
  types: {
    context: {} as VideoContext,
    events: {} as VideoSignal,
    input: {} as Partial<VideoContext>,
  },
  guards: {
    isToLookUp: ({ context }) => context.pending.isToLookUp,
    hadAllSends: ({ context }) => context.pending.hadAllSends,
    isSlow: ({ context }) => context.slow,
    isMissing: ({ context }) => context.misses + 1 >= missesToShow,
    // rule: done without a result is unknown first, then the end
    isUnusable: ({ context }) => context.unusable + 1 >= unusableToEnd,
  },
  actions: {
    answered: assign(({ event }) =>
      event.type === 'QUEUED' || event.type === 'RUNNING'
        ? { progress: event.progress, misses: 0, unusable: 0 }
        : {},
    ),
    clearCounts: assign({ misses: 0, unusable: 0 }),
    countMiss: assign(({ context }) => ({ misses: context.misses + 1, unusable: 0 })),
    countUnusable: assign(({ context }) => ({ misses: 0, unusable: context.unusable + 1 })),
    setSlow: assign({ slow: true }),
    setResult: assign(({ event }) =>
      event.type === 'DONE'
        ? { progress: 100, videoUrl: event.videoUrl, videoUrlExpiresAt: event.videoUrlExpiresAt }
        : {},
    ),
    setError: assign(({ event }) => ({ error: errorOf(event) })),
    setCancelledInDoubt: assign({ error: cancelledInDoubt }),
    setPendingTimedOut: assign(({ context }) => ({ error: pendingTimedOut(context.pending) })),
    // executed by submit
    lookUp: () => {},
    intend: () => {},
    create: () => {},
    queuePoll: () => {},
    tryAgain: () => {},
    // executed by the poller
    askAgain: () => {},
    askAgainAfterMiss: () => {},
    askAgainAfterThrottle: () => {},
    tellUnknown: () => {},
    cancelAtProvider: () => {},
    release: () => {},
    drop: () => {},
  },
}).createMachine({
  id: 'video',
  context: ({ input }) => ({
    progress: null,
    videoUrl: null,
    videoUrlExpiresAt: null,
    error: null,
    slow: false,
    misses: 0,
    unusable: 0,
    pending: { shown: 'queued', isToLookUp: false, hadAllSends: false, waitReason: null },
    ...input,
  }),
  initial: 'pending',
  states: {
    pending: {
      initial: 'queued',
      on: settling,
      states: {
        ...pendingStates,
        submitted: {
          on: {
            ...working,
            ...vague,
            ...ending,
            TURN: { actions: 'queuePoll' },
            ACCEPTED: { actions: 'queuePoll' },
            MISSED: missed,
            THROTTLED: throttled,
            SLOW: { actions: 'setSlow' },
            REVOKED: { actions: 'drop' },
            CANCEL: '#video.generating.cancelling',
          },
        },
      },
    },
    generating: {
      initial: 'queued',
      on: {
        ...working,
        ...vague,
        ...ending,
        THROTTLED: { target: '.throttled', ...throttled },
        MISSED: [{ guard: 'isMissing', target: '.retrying', ...missed }, missed],
        SLOW: { target: '.overdue', actions: 'setSlow' },
        REVOKED: { actions: 'drop' },
        CANCEL: '.cancelling',
      },
      states: {
        queued: {},
        running: {},
        retrying: {},
        throttled: {},
        overdue: {},
        cancelling: {
          entry: 'cancelAtProvider',
          on: {
            CANCELLED: end(),
            CANCEL: { actions: 'cancelAtProvider' },
            QUEUED: { actions: ['answered', 'askAgain'] },
            RUNNING: { actions: ['answered', 'askAgain'] },
            SLOW: { actions: 'setSlow' },
            THROTTLED: throttled,
            MISSED: missed,
          },
        },
      },
    },
    completed: {
      entry: 'release',
      initial: 'done',
      states: { done: { on: { STORED: 'stored' } }, stored: { type: 'final' } },
    },
    failed: { type: 'final', entry: 'release' },
  },
})

function end() {
  return { target: '#video.failed', actions: 'setError' } as const
}

function errorOf(event: VideoSignal): VideoError | null {
  if (event.type === 'DEADLINE') return deadlinePassed
  if (event.type === 'EXPIRED') return resultGone
  if (event.type === 'CANCELLED') return cancelled
  if (event.type === 'CANCEL') return cancelledBeforeSubmission
  if (event.type === 'LOST') return { code: 'submission_unknown', message: event.reason }
  if (event.type === 'TURN' || event.type === 'ABSENT') return sendsLost
  return 'error' in event ? event.error : null
}
