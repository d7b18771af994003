/** What a poller keeps of a video that it owns, and what time alone brings to it. Pure. */
import { phaseOf, stateOfRow, type VideoState } from '#libs/scene-video/advance.ts'
import type { Grant } from '#libs/scene-video/messages.ts'
import type { VideoSignal } from '#libs/scene-video/signals.ts'
import type { PolledAccount } from './accounts.ts'
import type { Outlook } from './schedule.ts'

/** All that is kept of a video between two polls. Instants are the clock's, in milliseconds. */
export interface Hosted {
  readonly id: string
  readonly attempt: number
  readonly userId: string
  readonly epoch: string
  readonly taskId: string
  readonly account: PolledAccount
  state: VideoState
  /** Of its last report under this epoch. */
  no: number
  nextPollAt: number
  /** It is due, and waits for its turn at its account. */
  isWaiting: boolean
  reportedAt: number
  /** False once it was dropped: whatever is still under way for it is void. */
  isHosted: boolean
  /** Left out by a query of many: asked alone the next time. */
  isAlone: boolean
  /** A query about it is open, or its answer is not stored yet. */
  polling: boolean
  /** Its provider's webhook came. */
  isHinted: boolean
  /** It came while a query was open, which may have been answered before: asked again at once. */
  askAtOnce: boolean
  /** Somebody asked to cancel it, and the machine was not told yet. */
  cancelRequested: boolean
  /** When its timer looks for what time alone brings. */
  watchAt: number
  /** The provider was last heard to work on it: the life of its result begins no earlier. */
  workingAt: number
  /** What the provider said of it last, while it works on it. */
  saidLast: 'queued' | 'running' | null
  readonly overdueAt: number
  readonly deadlineAt: number
}

const signOfLifeMs = 45_000

export const hostedFrom = (grant: Grant, account: PolledAccount, now: number): Hosted => ({
  id: grant.id,
  attempt: grant.attempt,
  userId: grant.userId,
  epoch: grant.epoch,
  taskId: grant.taskId,
  account,
  state: stateOfRow(grant, grant.sinceSubmittedMs >= account.lives.expectedMs),
  no: grant.reportNo,
  nextPollAt: 0,
  isWaiting: false,
  reportedAt: now - grant.sinceSignOfLifeMs,
  isHosted: true,
  isAlone: false,
  polling: false,
  isHinted: false,
  askAtOnce: false,
  cancelRequested: grant.cancelRequested,
  watchAt: 0,
  workingAt: now - grant.sinceSignOfLifeMs,
  saidLast: null,
  overdueAt: now + account.lives.expectedMs - grant.sinceSubmittedMs,
  deadlineAt: grant.untilDeadlineMs === null ? Infinity : now + grant.untilDeadlineMs,
})

/** What its machine is to be told now; null when nothing is due. */
export function signalOfTime(video: Hosted, now: number): VideoSignal | null {
  if (video.cancelRequested) {
    video.cancelRequested = false
    return { type: 'CANCEL' }
  }
  if (now >= video.deadlineAt) return { type: 'DEADLINE' }
  if (now >= video.workingAt + video.account.lives.resultLifeMs) return { type: 'EXPIRED' }
  return now >= video.overdueAt && !video.state.slow ? { type: 'SLOW' } : null
}

export const owesSignOfLife = (video: Hosted, now: number): boolean =>
  now >= video.reportedAt + signOfLifeMs

/** When time alone brings it something next. */
export const nextWatchAt = (video: Hosted): number =>
  video.cancelRequested
    ? -Infinity
    : Math.min(
        video.deadlineAt,
        video.workingAt + video.account.lives.resultLifeMs,
        video.state.slow ? Infinity : video.overdueAt,
        video.reportedAt + signOfLifeMs,
      )

/** What an adaptive interval goes by. */
export const outlookOf = ({ state, account, overdueAt }: Hosted, now: number): Outlook => ({
  phase: phaseOf(state),
  progress: state.progress,
  elapsed: account.lives.expectedMs - (overdueAt - now),
})
