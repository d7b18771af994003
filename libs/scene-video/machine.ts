/**
 * The life of one attempt of a SceneVideo, as a statechart. State values are `{status: phase}`, so the chart is the
 * contract's table. Pure: it performs nothing and waits for nothing. Its host polls, and sends what it saw as events; whatever
 * changed between two states is what the host reports. Waiting is the host's (XState does not restore `after` timers:
 * statelyai/xstate#5331), so a snapshot is fully described by the row it is made from.
 */
import { createActor, setup, type ActorRefFrom, type SnapshotFrom } from 'xstate'
import type { Change } from './messages.ts'
import type { Phase, Status, VideoError } from './scene-video.ts'

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
  types: { context: {} as VideoContext, events: {} as VideoSignal, input: {} as Partial<VideoContext> },
  guards: { isSlow: ({ context }) => context.slow },
  actions: {
    setProgress: ({ context, event }) => {
      if (event.type === 'QUEUED' || event.type === 'RUNNING') context.progress = event.progress
    },
    setSlow: ({ context }) => {
      context.slow = true
    },
    setResult: ({ context, event }) => {
      if (event.type === 'DONE') Object.assign(context, { progress: 100, videoUrl: event.videoUrl, videoUrlExpiresAt: event.videoUrlExpiresAt })
    },
    setError: ({ context, event }) => {
      if (event.type === 'FAILED') context.error = event.error
    },
  },
}).createMachine({
  id: 'video',
  context: ({ input }) => ({ progress: null, videoUrl: null, videoUrlExpiresAt: null, error: null, slow: false, ...input }),
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
      on: { ...working, ...ending, THROTTLED: '.throttled', MISSED: '.retrying', SLOW: { target: '.overdue', actions: 'setSlow' }, CANCEL: '.cancelling' },
      states: { queued: {}, running: {}, retrying: {}, throttled: {}, overdue: {}, cancelling: { on: { QUEUED: {}, RUNNING: {}, SLOW: {}, THROTTLED: {}, MISSED: {} } } },
    },
    completed: { type: 'final' },
    failed: { type: 'final' },
  },
})

export type VideoActor = ActorRefFrom<typeof videoMachine>
export type VideoSnapshot = SnapshotFrom<typeof videoMachine>

/** An actor that stands where a row stands. */
export function actorAt(row: { status: Status; phase: Phase; progress: number | null; slow: boolean }): VideoActor {
  const value = row.status === 'pending' || row.status === 'generating' ? { [row.status]: row.phase } : row.status
  const context: VideoContext = { progress: row.progress, videoUrl: null, videoUrlExpiresAt: null, error: null, slow: row.slow || row.phase === 'overdue' }
  const snapshot = videoMachine.resolveState({ value, context })
  return createActor(videoMachine, { snapshot, input: {} }).start()
}

export function statusAndPhase(snapshot: VideoSnapshot): { status: Status; phase: Phase } {
  const { value } = snapshot
  if (typeof value === 'string') return { status: value as Status, phase: 'done' }
  const [status, phase] = Object.entries(value)[0]!
  return { status: status as Status, phase: phase as Phase }
}

/** Sends a signal; what it changed, or null when nothing that is recorded changed. */
export function advance(actor: VideoActor, signal: VideoSignal): Change | null {
  if (actor.getSnapshot().status === 'done') return null
  const before = statusAndPhase(actor.getSnapshot())
  const progressBefore = actor.getSnapshot().context.progress
  actor.send(signal)
  const after = statusAndPhase(actor.getSnapshot())
  const { context } = actor.getSnapshot()
  if (after.status === 'pending' || (before.status === after.status && before.phase === after.phase && progressBefore === context.progress)) return null
  return { ...after, status: after.status, progress: context.progress, videoUrl: context.videoUrl, videoUrlExpiresAt: context.videoUrlExpiresAt, error: context.error }
}
