/**
 * What may be done with a video, and what an answer to a create does. Decided from the row and its
 * sends as they stand under the row's lock; whoever keeps them (Postgres, the simulation's memory)
 * writes what comes back. Pure: no I/O, no clock.
 */
import { Refused } from './refusals.ts'
import { isTerminal, type Status, type VideoError } from './scene-video.ts'

/** Of a video's row, what decisions need. */
export interface VideoFacts {
  status: Status
  phase: string
  attempt: number
  taskId: string | null
  cancelRequested: boolean
  /** When its current attempt was asked for. */
  requestedAt: Date
}

/**
 * Of a send of a create. `answer` is null until one is known; `later`, `refused` and `absent` left
 * no task behind; `unreadable`: probably accepted; `lost`: nobody can tell.
 */
export interface SendFacts {
  attempt: number
  send: number
  answer: string | null
  taskId: string | null
  /** When somebody last asked what became of it, after its attempt had ended. */
  lookedAt: Date | null
}

/**
 * What is known of a send without a task: not accepted, probably accepted, or that nobody can tell.
 */
export type NoTask = 'later' | 'refused' | 'absent' | 'unreadable' | 'lost'
/** How an acceptance was learned. */
export type AcceptedHow = 'answer' | 'lookup' | 'adopted'

/** Sends of one attempt that may have been accepted; after that many it fails. */
export const maxSends = 3

/** Whether a send with this answer certainly left no task behind. */
// rule: a send nobody can tell of is not repeated, second
export const isNotAccepted = (answer: string | null): boolean =>
  answer === 'later' || answer === 'absent' || answer === 'refused'

/** Whether a send may have left a task behind, as far as anybody knows yet. */
export const mayBeAccepted = ({ answer }: SendFacts): boolean =>
  !isNotAccepted(answer) && answer !== 'lost'

/** What an earlier attempt ended with, though its task may show at the provider after all. */
export const isFinal = (answer: string | null): boolean => answer === 'lost' || answer === 'refused'

/**
 * Whether the provider is to be asked about a send before anything is sent. What ended an earlier
 * attempt is asked about once more by a retry; of what was refused one such look is enough.
 */
export function isToLookUp({ attempt, requestedAt }: VideoFacts, send: SendFacts): boolean {
  const { answer, lookedAt } = send
  // rule: a retry looks first for what ended an earlier attempt
  if (send.attempt !== attempt && isFinal(answer))
    return lookedAt === null || (answer === 'lost' && lookedAt < requestedAt)
  return !isNotAccepted(answer)
}

/** @throws Refused when a command means another attempt than the current one */
export function requireAttempt(video: Pick<VideoFacts, 'attempt'>, attempt: number | null): void {
  // rule: a retry serialises on its attempt
  if (attempt !== null && attempt !== video.attempt)
    throw new Refused('not_current_attempt', `The current attempt is ${video.attempt}.`)
}

/**
 * How a cancel is carried out: at once while nothing can have been accepted; else by a flag that
 * whoever has the video in hand acts on.
 * @throws Refused
 */
export function decideCancel(
  video: VideoFacts,
  sends: SendFacts[],
  attempt: number | null,
): 'at_once' | 'flag' {
  requireAttempt(video, attempt)
  if (isTerminal(video.status))
    throw new Refused('already_terminal', `The video has ${video.status} already.`)
  const isOpen = sends.some((one) => one.attempt === video.attempt && mayBeAccepted(one))
  return isOpen || video.taskId !== null ? 'flag' : 'at_once'
}

export const cancelledBeforeSubmission: VideoError = {
  code: 'cancelled',
  message: 'Cancelled before it was submitted.',
}

/** @throws Refused unless the video may have a further attempt */
export function requireRetry(
  video: Pick<VideoFacts, 'status' | 'attempt'>,
  attempt: number | null,
): void {
  requireAttempt(video, attempt)
  if (video.status !== 'failed')
    throw new Refused(
      'not_failed',
      `Only a failed video can be retried; this one is ${video.status}.`,
    )
}

/**
 * Whether the intent of this send may be written, and where: `insert` a row; `replace` that of the
 * last send, which was told to come later, so that an attempt has one row however long the provider
 * is away; null when it may not: the video is not pending at that attempt any more, an earlier send
 * may have been accepted, another intent has that number, a cancel was asked for, or the attempt
 * had all its sends.
 */
export function decideIntent(
  video: VideoFacts,
  sends: SendFacts[],
  { attempt, send }: { attempt: number; send: number },
): 'insert' | 'replace' | null {
  if (!isWaitingAt(video, attempt) || video.cancelRequested) return null
  const own = sends.filter((one) => one.attempt === attempt)
  const last = own.at(-1)
  // rule: one winner for an intent
  if ((last?.send ?? 0) !== send - 1) return null
  // rule: a send that may have been accepted makes room for no other
  if (last && !isNotAccepted(last.answer)) return null
  if (hadAllSends(own)) return null
  return last?.answer === 'later' ? 'replace' : 'insert'
}

/**
 * Whether no further send may follow those of one attempt; one told to come later does not count.
 */
export const hadAllSends = (own: SendFacts[]): boolean =>
  // rule: an attempt has at most three sends that may be accepted
  own.length >= maxSends && own.at(-1)?.answer !== 'later'

export interface Acceptance {
  /**
   * `taken`: the video has this task, now or before. `late`: it does not wait for it any more.
   * `duplicate`: it has another task of the same attempt.
   */
  fate: 'taken' | 'late' | 'duplicate'
  /** Whether the video moves on with it. */
  moves: boolean
  /**
   * Where the task is recorded, whatever became of the video: on its send, on a row beside it
   * because that one has another task, or nowhere, being recorded already.
   */
  record: 'on_send' | 'beside' | 'known'
}

/** What an acceptance does. @throws when that send was never intended */
export function decideAcceptance(
  video: VideoFacts,
  sends: SendFacts[],
  task: { attempt: number; send: number; taskId: string; how: AcceptedHow },
): Acceptance {
  const own = sends.filter((one) => one.attempt === task.attempt)
  const sent = own.find((one) => one.send === task.send)
  if (!sent) throw new Error(`send ${task.send} of attempt ${task.attempt} was never intended`)
  const isKnown = own.some((one) => one.taskId === task.taskId)
  // rule: an id once seen is not overwritten
  const record = isKnown ? 'known' : sent.taskId === null ? 'on_send' : 'beside'
  if (video.taskId === task.taskId) return { fate: 'taken', moves: false, record }
  if (video.taskId !== null)
    return { fate: video.attempt === task.attempt ? 'duplicate' : 'late', moves: false, record }
  const isWaitedFor =
    video.status === 'pending' && (task.how === 'adopted' || video.attempt === task.attempt)
  return isWaitedFor
    ? { fate: 'taken', moves: true, record }
    : { fate: 'late', moves: false, record }
}

/** Whether the video still waits for an acceptance of that attempt. */
export const isWaitingAt = (video: VideoFacts, attempt: number): boolean =>
  video.attempt === attempt && video.status === 'pending' && video.taskId === null

/** Of a pending video, what tells whether its time is over. */
export interface PendingTimes {
  cancelRequested: boolean
  /** Null without a deadline; not positive when it has passed. */
  untilDeadlineMs: number | null
  /** Since the attempt was asked for. */
  requestedMs: number
  waitReason: string | null
}
