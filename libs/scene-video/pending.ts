/**
 * One event of the machine of a video that waits for its acceptance: from where its row and sends
 * say that it stands to the next state, with what to record and what to do. Pure. An event that the
 * chart has no word for changes nothing.
 */
import { transition } from 'xstate'
import { leafOf, resolve, type Leaf } from './advance.ts'
import {
  hadAllSends,
  isToLookUp,
  mayBeAccepted,
  type PendingTimes,
  type SendFacts,
  type VideoFacts,
} from './decisions.ts'
import { videoMachine } from './machine.ts'
import { isTerminal, type Phase, type Status, type VideoError } from './scene-video.ts'
import type { PendingAction, PendingFacts, VideoSignal } from './signals.ts'

export interface PendingState {
  status: Status
  phase: Leaf
  facts: PendingFacts
}

/** What the row is to say; its event makes a version. */
export type PendingRecord =
  /** How long it waits, and why; `event` where the record then shows another phase. */
  | { kind: 'wait'; event: 'progress' | null; phase: Phase; reason: string; ms: number }
  | { kind: 'submitted'; event: 'submitted'; phase: 'submitted' }
  | { kind: 'failed'; event: 'failed'; phase: 'done'; error: VideoError }

export interface PendingAdvanced {
  state: PendingState
  /** Null where the row stays as it is. */
  record: PendingRecord | null
  /** After that is recorded; null where there is nothing left to do. */
  action: PendingAction | null
}

/** Where the machine stands that a row and its sends tell of. */
export function stateOfPending(
  video: VideoFacts,
  sends: SendFacts[],
  waitReason: string | null = null,
): PendingState {
  const own = sends.filter((one) => one.attempt === video.attempt)
  const shown = video.phase === 'throttled' ? 'throttled' : 'queued'
  const facts: PendingFacts = {
    shown,
    isToLookUp: sends.some((one) => isToLookUp(video, one)),
    hadAllSends: hadAllSends(own),
    waitReason,
  }
  return { status: video.status, phase: leafOfRow(video, own, shown), facts }
}

function leafOfRow(video: VideoFacts, own: SendFacts[], shown: PendingFacts['shown']): Leaf {
  if (isTerminal(video.status)) return 'done'
  if (video.status === 'generating') return video.phase as Leaf
  if (video.taskId !== null) return 'submitted'
  if (video.cancelRequested) return 'cancelling'
  return own.some(mayBeAccepted) ? 'inDoubt' : shown
}

/** The signal a turn begins with: its cancel or deadline is due, or it may go on (TURN). */
export function dueSignal(times: PendingTimes): VideoSignal {
  if (times.cancelRequested) return { type: 'CANCELLED' }
  const isOver = (times.untilDeadlineMs ?? 1) <= 0 || times.requestedMs >= maxPendingMs
  return { type: isOver ? 'DEADLINE' : 'TURN' }
}

/** A video that was not accepted within this time fails; its caller may have asked for less. */
export const maxPendingMs = 24 * 3_600_000

export function advancePending(from: PendingState, signal: VideoSignal): PendingAdvanced {
  if (isTerminal(from.status)) return { state: from, record: null, action: null }
  const { status, phase, actions, error } = stepOf(from, signal)
  const shown = phase === 'throttled' ? 'throttled' : from.facts.shown
  return {
    state: { status, phase, facts: { ...from.facts, shown } },
    record: recordOf(from, { status, phase, shown, error }, signal),
    action: actions.flatMap((type) => actionOf(type, signal))[0] ?? null,
  }
}

interface Step {
  status: Status
  phase: Leaf
  actions: string[]
  error: VideoError | null
}

/** The machine's steps that ended nothing: they depend on what their key names, and on no more. */
const known = new Map<string, Step>()

function stepOf({ status, phase, facts }: PendingState, signal: VideoSignal): Step {
  const key = [status, phase, facts.isToLookUp, facts.hadAllSends, signal.type].join()
  const before = known.get(key)
  if (before) return before
  const kept = { progress: null, slow: false, misses: 0, unusable: 0 }
  const [next, executable] = transition(
    videoMachine,
    resolve({ status, phase, ...kept }, facts),
    signal,
  )
  const { error } = next.context
  const step = { ...leafOf(next), actions: executable.map(({ type }) => type), error }
  if (error === null) known.set(key, step)
  return step
}

function recordOf(
  from: PendingState,
  to: { status: Status; phase: Leaf; shown: PendingFacts['shown']; error: VideoError | null },
  signal: VideoSignal,
): PendingRecord | null {
  if (to.status === 'failed')
    return { kind: 'failed', event: 'failed', phase: 'done', error: to.error! }
  if (to.phase === 'submitted')
    return from.phase === 'submitted'
      ? null
      : { kind: 'submitted', event: 'submitted', phase: 'submitted' }
  const isWait = signal.type === 'WAITING' || signal.type === 'HELD' || signal.type === 'IN_DOUBT'
  if (!isWait || signal.reason === null || from.status !== 'pending') return null
  const event = to.shown === from.facts.shown ? null : 'progress'
  return { kind: 'wait', event, phase: to.shown, reason: signal.reason, ms: signal.ms }
}

function actionOf(type: string, signal: VideoSignal): PendingAction[] {
  switch (type) {
    case 'lookUp':
    case 'intend':
    case 'create':
    case 'queuePoll':
      return [{ type }]
    case 'tryAgain':
      return 'ms' in signal ? [{ type, ms: signal.ms }] : []
    default:
      return []
  }
}
