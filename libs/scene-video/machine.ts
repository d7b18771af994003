/**
 * The life of one attempt of a SceneVideo, as a statechart. State values are `{status: phase}`, so
 * the chart is the contract's table. Pure: it performs nothing and waits for nothing. Its host
 * polls, and sends what it saw as events; whatever changed between two states is what the host
 * reports. Waiting is the host's (XState does not restore `after` timers: statelyai/xstate#5331),
 * so where a machine stands is fully described by the row it is made from.
 *
 * That is also how it is kept between two events: as a `VideoState`, four plain values, from which
 * the machine is resolved when something happened. A started actor would take 4.4–4.9 KB a video,
 * and most polls change nothing.
 */
import { assign, setup, transition, type SnapshotFrom } from 'xstate'
import type { Change } from './messages.ts'
import { isTerminal, type Phase, type Status, type VideoError } from './scene-video.ts'

export interface VideoContext {
  progress: number | null
  videoUrl: string | null
  videoUrlExpiresAt: string | null
  error: VideoError | null
  /** Past its expected time. */
  slow: boolean
}

export type VideoSignal =
  | { type: 'WAITING' }
  | { type: 'ACCEPTED' }
  | { type: 'QUEUED'; progress: number | null }
  | { type: 'RUNNING'; progress: number | null }
  | { type: 'THROTTLED' }
  | { type: 'MISSED' }
  | { type: 'SLOW' }
  | { type: 'CANCEL' }
  | { type: 'DONE'; videoUrl: string; videoUrlExpiresAt: string | null }
  | { type: 'FAILED'; error: VideoError }

const working = {
  QUEUED: [
    { guard: 'isSlow', target: '#video.generating.overdue', actions: 'setProgress' },
    { target: '#video.generating.queued', actions: 'setProgress' },
  ],
  RUNNING: [
    { guard: 'isSlow', target: '#video.generating.overdue', actions: 'setProgress' },
    { target: '#video.generating.running', actions: 'setProgress' },
  ],
} as const
const ending = {
  DONE: { target: '#video.completed', actions: 'setResult' },
  FAILED: { target: '#video.failed', actions: 'setError' },
} as const

export const videoMachine = setup({
  types: {
    context: {} as VideoContext,
    events: {} as VideoSignal,
    input: {} as Partial<VideoContext>,
  },
  guards: { isSlow: ({ context }) => context.slow },
  actions: {
    setProgress: assign(({ event }) =>
      event.type === 'QUEUED' || event.type === 'RUNNING' ? { progress: event.progress } : {},
    ),
    setSlow: assign({ slow: true }),
    setResult: assign(({ event }) =>
      event.type === 'DONE'
        ? { progress: 100, videoUrl: event.videoUrl, videoUrlExpiresAt: event.videoUrlExpiresAt }
        : {},
    ),
    setError: assign(({ event }) => (event.type === 'FAILED' ? { error: event.error } : {})),
  },
}).createMachine({
  id: 'video',
  context: ({ input }) => ({
    progress: null,
    videoUrl: null,
    videoUrlExpiresAt: null,
    error: null,
    slow: false,
    ...input,
  }),
  initial: 'pending',
  states: {
    pending: {
      initial: 'queued',
      on: ending,
      states: {
        queued: { on: { WAITING: 'throttled', ACCEPTED: 'submitted' } },
        throttled: { on: { ACCEPTED: 'submitted' } },
        submitted: { on: working },
      },
    },
    generating: {
      initial: 'queued',
      on: {
        ...working,
        ...ending,
        THROTTLED: '.throttled',
        MISSED: '.retrying',
        SLOW: { target: '.overdue', actions: 'setSlow' },
        CANCEL: '.cancelling',
      },
      states: {
        queued: {},
        running: {},
        retrying: {},
        throttled: {},
        overdue: {},
        cancelling: { on: { QUEUED: {}, RUNNING: {}, SLOW: {}, THROTTLED: {}, MISSED: {} } },
      },
    },
    completed: { type: 'final' },
    failed: { type: 'final' },
  },
})

export type VideoSnapshot = SnapshotFrom<typeof videoMachine>

/** Where a video's machine stands. */
export interface VideoState {
  status: Status
  phase: Phase
  progress: number | null
  /** Past its expected time. */
  slow: boolean
}

/** The machine standing where a row, or a former standing, stands. */
export function resolve({ status, phase, progress, slow }: VideoState): VideoSnapshot {
  const value = isTerminal(status) ? status : { [status]: phase }
  return videoMachine.resolveState({
    value,
    context: {
      progress,
      videoUrl: null,
      videoUrlExpiresAt: null,
      error: null,
      slow: slow || phase === 'overdue',
    },
  })
}

function statusAndPhase({ value }: VideoSnapshot): { status: Status; phase: Phase } {
  if (typeof value === 'string') return { status: value as Status, phase: 'done' }
  const [status, phase] = Object.entries(value)[0]!
  return { status: status as Status, phase: phase as Phase }
}

/**
 * What a signal leads to: where the machine then stands, and what to record of it; null when
 * nothing that is recorded changed.
 */
export function advance(
  from: VideoState,
  signal: VideoSignal,
): { standing: VideoState; change: Change | null } {
  if (isTerminal(from.status)) return { standing: from, change: null }
  const [next] = transition(videoMachine, resolve(from), signal)
  const { progress, slow, videoUrl, videoUrlExpiresAt, error } = next.context
  const { status, phase } = statusAndPhase(next)
  const standing = { status, phase, progress, slow }
  if (
    status === 'pending' ||
    (from.status === status && from.phase === phase && from.progress === progress)
  )
    return { standing, change: null }
  return { standing, change: { status, phase, progress, videoUrl, videoUrlExpiresAt, error } }
}

/** The hot path: a signal that says what the last one said needs no machine. */
export const isNoop = (from: VideoState, signal: VideoSignal): boolean =>
  (signal.type === 'QUEUED' || signal.type === 'RUNNING') &&
  from.status === 'generating' &&
  from.progress === signal.progress &&
  (from.phase === 'overdue' ||
    (!from.slow && from.phase === (signal.type === 'QUEUED' ? 'queued' : 'running')))
