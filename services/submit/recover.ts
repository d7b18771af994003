/**
 * What became of a send whose task is not known, asked in the way its provider has: for the task
 * that a callback named, by our own id, by the same create again under its key, or in its list.
 * Each may be repeated; none of them makes a second task.
 */
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import { canAt } from '#libs/provider/recovery.ts'
import type { Declared, Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { isFinal } from '#libs/scene-video/decisions.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { Loaded, SendRecord } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import { requestOf } from './requests.ts'

export interface Recovered {
  answer: TaskAnswer
  taskId: string | null
  /** Why nobody can tell, though the provider answered; asking again may help for a while. */
  doubt?: string
}

/** What is looked for: a send of this video. */
export interface Wanted {
  submission: SendRecord
  video: Loaded['video']
  /** Since its intent, by Postgres' clock. */
  ageMs: number
}

/** Whether nothing is sent to learn what became of it: it, or its video, has ended. */
export const isOver = ({ submission, video }: Wanted): boolean =>
  video.status !== 'pending' || isFinal(submission.answer)

/** A create is repeated only while half of the time is left in which that makes no second task. */
const mayRepeat = ({ repeatMs }: Declared['can'], ageMs: number): boolean =>
  // rule: a create is repeated only while its key holds
  repeatMs !== undefined && ageMs < repeatMs / 2

/** Whether the provider can be asked at all. */
export const canRecover = (can: Declared['can'], wanted: Wanted): boolean =>
  can.findByOwnId ||
  (!isOver(wanted) && mayRepeat(can, wanted.ageMs)) ||
  (can.listMs !== undefined && wanted.ageMs < can.listMs)

/** By its task's id, where that is known. */
export async function recoverOrGet(
  context: SubmitContext,
  provider: Provider,
  account: OpenedAccount,
  wanted: Wanted,
): Promise<Recovered> {
  const { taskId } = wanted.submission
  if (taskId === null) return recover(context, provider, account, wanted)
  return provider.get(account, taskId, context.lookUpTurns.control(account, provider))
}

async function recover(
  context: SubmitContext,
  provider: Provider,
  account: OpenedAccount,
  wanted: Wanted,
): Promise<Recovered> {
  const { submission, video, ageMs } = wanted
  const { attempt, calledTaskId } = submission
  const can = canAt(provider, account)
  if (calledTaskId !== null) {
    const called = await askForCalled(context, provider, account, {
      submission,
      video,
      calledTaskId,
    })
    if (called.taskId !== null || !canRecover(can, wanted)) return called
  }
  if (can.findByOwnId)
    return provider.find(
      account,
      { ownId: ownId(video.id, attempt), request: requestOf(context.callbacks, video, attempt) },
      context.lookUpTurns.control(account, provider),
    )
  if (!isOver(wanted) && mayRepeat(can, ageMs))
    return repeat(context, provider, account, video, attempt)
  return search(context, provider, account, { submission, video, ageMs })
}

/** The task that a callback named, where this account has it and no other send does. */
async function askForCalled(
  { callbacks, config, lookUpTurns, store }: SubmitContext,
  provider: Provider,
  account: OpenedAccount,
  { submission, video, calledTaskId }: Omit<Wanted, 'ageMs'> & { calledTaskId: string },
): Promise<Recovered> {
  const request = requestOf(callbacks, video, submission.attempt)
  const taskId = request && provider.handleOf(calledTaskId, request)
  if (!taskId) return none('the task that its callback named cannot be asked for')
  const { known } = await store.sentBeside(submission, config.LOOKUP_WINDOW_MS * 2)
  // rule: a task of another send is not taken for the one a callback named
  if (known.includes(taskId)) return doubt('its callback named the task of another video')
  const { answer } = await provider.get(account, taskId, lookUpTurns.control(account, provider))
  // rule: a task that a callback named is taken only when its account has it
  if (isTask(answer)) return { answer, taskId }
  if (answer.kind === 'later') return { answer, taskId: null }
  if (answer.kind === 'none') return none(answer.reason)
  return doubt('its account does not have the task that its callback named')
}

const isTask = ({ kind }: TaskAnswer): boolean =>
  kind === 'working' || kind === 'done' || kind === 'failed' || kind === 'unusable'

async function repeat(
  { images, callbacks }: SubmitContext,
  provider: Provider,
  account: OpenedAccount,
  video: Loaded['video'],
  attempt: number,
): Promise<Recovered> {
  const asked = requestOf(callbacks, video, attempt)
  if (!asked) return none('its stored parameters cannot be read')
  const request = await images.of(asked, video)
  if (!('ownId' in request)) return none('the images it was sent with cannot be had')
  const answer = await provider.create(account, request)
  switch (answer.kind) {
    case 'accepted':
      return { answer: working, taskId: answer.taskId }
    case 'later':
      return { answer: { kind: 'later', retryAfterMs: answer.retryAfterMs }, taskId: null }
    case 'refused':
      return doubt(`the same create again was refused: ${answer.error.message}`)
    default:
      return none(answer.reason)
  }
}

async function search(
  { store, config, callbacks, lookUpTurns }: SubmitContext,
  provider: Provider,
  account: OpenedAccount,
  { submission, video }: Wanted,
): Promise<Recovered> {
  const request = requestOf(callbacks, video, submission.attempt)
  if (!request) return none('its stored parameters cannot be read')
  const from = submission.intentAt.getTime()
  const { known, hasRivals } = await store.sentBeside(submission, config.LOOKUP_WINDOW_MS * 2)
  const lost = {
    request,
    from,
    until: from + config.LOOKUP_WINDOW_MS,
    known: new Set(known),
    hasRivals,
  }
  const found = await provider.search(account, lost, lookUpTurns.control(account, provider))
  switch (found.kind) {
    case 'found':
      return { answer: working, taskId: found.taskId }
    case 'absent':
      return { answer: { kind: 'missing' }, taskId: null }
    case 'doubtful':
      return doubt(found.reason)
    case 'later':
      return { answer: { kind: 'later', retryAfterMs: found.retryAfterMs }, taskId: null }
    case 'none':
      return none(found.reason)
  }
}

/** It is there; how far it has come is for a poller to ask. */
const working: TaskAnswer = { kind: 'working', phase: 'queued', progress: null }
const none = (reason: string): Recovered => ({ answer: { kind: 'none', reason }, taskId: null })
const doubt = (reason: string): Recovered => ({ ...none(reason), doubt: reason })
