/**
 * One event of the machine of a video that has a task: from the state kept to the next one, with
 * what to record and what to do. Pure. An event that the chart has no word for changes nothing. For
 * a video that waits for its acceptance see pending.ts.
 */
import { transition, type SnapshotFrom } from 'xstate'
import { videoMachine } from './machine.ts'
import type { Change } from './messages.ts'
import { isTerminal, type Phase, type Status } from './scene-video.ts'
import type { PendingFacts, VideoAction, VideoSignal } from './signals.ts'

type VideoSnapshot = SnapshotFrom<typeof videoMachine>

/** A leaf of the chart: a phase of the record, or one that the record shows as another. */
export type Leaf = Phase | 'sending' | 'inDoubt' | 'recovering'

/** Where a video's machine stands: all that is kept of it between two events. */
export interface VideoState {
  status: Status
  phase: Leaf
  progress: number | null
  /** Past its expected time. */
  slow: boolean
  misses: number
  unusable: number
}

/** Where the machine stands that a row tells of. */
export const stateOfRow = (
  row: { status: Status; phase: Phase; progress: number | null },
  slow = false,
): VideoState => ({
  status: row.status,
  phase: row.phase,
  progress: row.progress,
  slow: slow || row.phase === 'overdue',
  misses: 0,
  unusable: 0,
})

/** The phase that the record shows for where the machine stands, once it has a task. */
export const phaseOf = ({ phase }: Pick<VideoState, 'phase'>): Phase =>
  phase === 'sending' || phase === 'inDoubt' || phase === 'recovering' ? 'queued' : phase

const noFacts: PendingFacts = {
  shown: 'queued',
  isToLookUp: false,
  hadAllSends: false,
  waitReason: null,
}

export function resolve(
  { status, phase, ...kept }: VideoState,
  pending: PendingFacts = noFacts,
): VideoSnapshot {
  return videoMachine.resolveState({
    value: status === 'failed' ? status : { [status]: phase },
    context: { ...kept, pending, videoUrl: null, videoUrlExpiresAt: null, error: null },
  })
}

export function leafOf({ value }: VideoSnapshot): { status: Status; phase: Leaf } {
  if (typeof value === 'string') return { status: value as Status, phase: 'done' }
  const [status, phase] = Object.entries(value)[0]!
  return { status: status as Status, phase: phase as Leaf }
}

export interface Advanced {
  /** Where the machine then stands. */
  state: VideoState
  /** What to record, in this order; empty when nothing that is recorded changed. */
  changes: Change[]
  /** What its host executes, after the changes are recorded. */
  actions: VideoAction[]
}

/** What an event leads to. An ended video stays as it is, but that its file is kept. */
export function advance(from: VideoState, signal: VideoSignal): Advanced {
  if (isTerminal(from.status) && signal.type !== 'STORED')
    return { state: from, changes: [], actions: [] }
  const { state, actions, result } =
    signal.type === 'QUEUED' || signal.type === 'RUNNING'
      ? stepByWork(from, signal)
      : step(from, signal)
  const isSame =
    state.status === from.status &&
    phaseOf(state) === phaseOf(from) &&
    state.progress === from.progress
  if (isSame || state.status === 'pending') return { state, changes: [], actions }
  const { status, progress } = state
  const change: Change = { status, phase: phaseOf(state), progress, ...result }
  return {
    state,
    changes: isAnsweredByFailure(from, signal) ? [firstAnswer, change] : [change],
    actions,
  }
}

/** Where the chart goes, and what it then has of a result. */
interface Step {
  state: VideoState
  actions: VideoAction[]
  result: Pick<Change, 'videoUrl' | 'videoUrlExpiresAt' | 'error'>
}

function step(from: VideoState, signal: VideoSignal): Step {
  const [next, executable] = transition(videoMachine, resolve(from), signal)
  const { progress, slow, misses, unusable, videoUrl, videoUrlExpiresAt, error } = next.context
  const state: VideoState = { ...leafOf(next), progress, slow, misses, unusable }
  const actions = executable.flatMap(({ type }) => actionOf(type, state, signal))
  return { state, actions, result: { videoUrl, videoUrlExpiresAt, error } }
}

/** Steps by an answer that the provider works on it, by all that the chart goes by. */
const stepsByWork = new Map<string, Step>()
const mostSteps = 1_000
/** Two that differ: which of them is kept tells whether the chart takes the answer's progress. */
const [kept, told] = [0, 100]

/**
 * The same as `step`, taken once for each place in the chart: no guard reads the progress, so the
 * step is the same for all of them. A transition of XState costs 30 µs, as much as a poll.
 */
function stepByWork(
  from: VideoState,
  { type, progress }: Extract<VideoSignal, { type: 'QUEUED' | 'RUNNING' }>,
): Step {
  const { status, phase, slow, misses, unusable } = from
  const place = `${type} ${status} ${phase} ${slow} ${misses} ${unusable}`
  let known = stepsByWork.get(place)
  if (!known) {
    known = step({ ...from, progress: kept }, { type, progress: told })
    if (stepsByWork.size >= mostSteps) stepsByWork.clear()
    stepsByWork.set(place, known)
  }
  const { state, actions, result } = known
  const next = state.progress === told ? progress : from.progress
  return { state: { ...state, progress: next }, actions, result }
}

/** A first poll that was answered by a failure is recorded as answered, then as failed. */
const isAnsweredByFailure = (from: VideoState, { type }: VideoSignal): boolean =>
  from.status === 'pending' &&
  from.phase === 'submitted' &&
  (type === 'FAILED' || type === 'UNUSABLE')

const firstAnswer: Change = {
  status: 'generating',
  phase: 'running',
  progress: null,
  videoUrl: null,
  videoUrlExpiresAt: null,
  error: null,
}

function actionOf(type: string, { misses }: VideoState, signal: VideoSignal): VideoAction[] {
  switch (type) {
    case 'askAgain':
    case 'tellUnknown':
    case 'cancelAtProvider':
    case 'release':
    case 'drop':
      return [{ type }]
    case 'askAgainAfterMiss':
      return [{ type, misses }]
    case 'askAgainAfterThrottle':
      return signal.type === 'THROTTLED' ? [{ type, retryAfterMs: signal.retryAfterMs }] : []
    default:
      return []
  }
}

/**
 * The hot path: an answer that says what the last one said needs no machine. The only action is
 * then to ask again after the usual interval.
 */
export const isNoop = (from: VideoState, signal: VideoSignal): boolean =>
  (signal.type === 'QUEUED' || signal.type === 'RUNNING') &&
  from.status === 'generating' &&
  from.misses === 0 &&
  from.unusable === 0 &&
  from.progress === signal.progress &&
  (from.phase === 'overdue' ||
    (!from.slow && from.phase === (signal.type === 'QUEUED' ? 'queued' : 'running')))
