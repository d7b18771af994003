/**
 * What earlier sends became, asked of the provider by task id or own id. Nothing is sent while one
 * of them may still have been accepted, and every question ends: an absence counts after the
 * look-up window (see absences.ts), no usable answer at all once the results' life has passed.
 */
import type { TaskAnswer } from '#libs/provider/provider.ts'
import { canAt } from '#libs/provider/recovery.ts'
import type { AcceptedHow } from '#libs/scene-video/decisions.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { VideoSignal } from '#libs/scene-video/signals.ts'
import type { Loaded, SendRecord } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import { canRecover, recoverOrGet, type Recovered, type Wanted } from './recover.ts'

const accepted: VideoSignal = { type: 'ACCEPTED' }

/**
 * Settles every send that may have been accepted, of this attempt and of earlier ones, oldest
 * first.
 */
export async function lookUpSends(context: SubmitContext, loaded: Loaded): Promise<VideoSignal> {
  for (const [index, submission] of loaded.submissions.entries()) {
    const { video, ageMs } = loaded
    const wanted = { submission, video, ageMs: ageMs[index]! }
    const finding = await lookUpSend(context, wanted, submission.attempt !== video.attempt)
    if (finding) return finding
  }
  return { type: 'ABSENT' }
}

/** Null where nothing of it could still deliver. */
async function lookUpSend(
  context: SubmitContext,
  wanted: Wanted,
  isEarlier: boolean,
): Promise<VideoSignal | null> {
  const { submission, ageMs } = wanted
  const { answer: known, outcome } = submission
  // rule: what a callback named is asked for, however lost its send is
  if (known === 'lost' && !isCalled(submission))
    return isEarlier ? null : { type: 'LOST', reason: cannotBeAsked }
  if (known === 'later' || known === 'refused' || known === 'absent' || outcome === 'failed')
    return null
  const { providers, log } = context
  const { videoId: id, attempt, send } = submission
  if (!isAskable(context, wanted)) {
    const waitMs = callbackMs(context, submission)
    return ageMs >= waitMs
      ? giveUp(context, submission, isEarlier, cannotBeAsked)
      : inDoubt(isEarlier, waitMs - ageMs, untilCalled)
  }

  const { answer, taskId, doubt } = await ask(context, wanted)
  if (taskId !== null && !isEarlier) {
    await recordTask(context, { id, attempt, send, taskId, how: 'lookup' })
    log.info({ video: id, taskId }, 'Lost answer found at the provider')
    await proveAccount(context, submission)
    return accepted
  }
  // rule: a retry takes what earlier attempts became
  if (taskId !== null && mayDeliver(answer)) {
    await recordTask(context, { id, attempt, send, taskId, how: 'adopted' })
    log.info({ video: id, taskId }, 'Earlier task adopted')
    return accepted
  }
  if (taskId !== null && answer.kind === 'failed') {
    await recordTask(context, { id, attempt, send, taskId, how: 'lookup' })
    await context.store.noteLate(id, attempt, send, 'failed', { code: answer.error.code })
    return null
  }
  // rule: the look-up window is the looking process’s own
  if (isAbsent(context, submission, answer)) return onAbsent(context, submission, isEarlier)
  const provider = providers.of(submission.provider)
  const patienceMs = Math.max(context.config.LOOKUP_WINDOW_MS, provider?.expectedMs ?? 0)
  // rule: a task that may be somebody else’s is not taken
  if (doubt && ageMs >= patienceMs)
    return giveUp(
      context,
      submission,
      isEarlier,
      `Nobody can tell whether it was accepted: ${doubt}.`,
    )
  if (ageMs >= (provider?.resultLifeMs ?? 0))
    return giveUp(context, submission, isEarlier, cannotBeAsked)
  const ms =
    answer.kind === 'later'
      ? (answer.retryAfterMs ?? 5_000)
      : jitter(context, Math.min(30_000, Math.max(500, ageMs / 3)))
  return inDoubt(isEarlier, ms)
}

/** Whether a callback named its task, which nobody knows otherwise. */
export const isCalled = ({ taskId, calledTaskId }: SendRecord): boolean =>
  taskId === null && calledTaskId !== null

/** For how long a send that the provider cannot be asked about may still be told of. */
function callbackMs(
  { callbacks, config, providers }: SubmitContext,
  { provider, videoId, attempt }: SendRecord,
): number {
  const told = callbacks.urlOf(provider, ownId(videoId, attempt)) !== undefined
  // rule: a lost create whose provider calls back is waited for
  const usualMs = told ? (providers.of(provider)?.expectedMs ?? 0) : 0
  return Math.max(config.LOOKUP_WINDOW_MS, 2 * usualMs)
}

export const lostAnswer = 'the answer to its create was lost, and is looked up'
const untilCalled = 'the answer to its create was lost, and the provider cannot be asked for it'
const inDoubt = (isEarlier: boolean, ms: number, reason = lostAnswer): VideoSignal => ({
  type: isEarlier ? 'HELD' : 'IN_DOUBT',
  reason,
  ms: Math.max(50, Math.min(ms, 60_000)),
})
const cannotBeAsked = 'The provider may or may not have accepted it, and cannot be asked any more.'

/**
 * Absent for the whole window. That counts where a task was ever found by own id at this account,
 * and not after an answer that says it was accepted: else nobody can tell, and nothing is sent
 * again.
 */
async function onAbsent(
  context: SubmitContext,
  submission: SendRecord,
  isEarlier: boolean,
): Promise<VideoSignal | null> {
  const { store, accounts } = context
  const { videoId, attempt, send, answer, provider } = submission
  if (answer === 'unreadable')
    return giveUp(
      context,
      submission,
      isEarlier,
      'The provider’s answer to its create could not be read, and no task of it is found.',
    )
  const account = accounts.open(submission)
  // rule: absence counts only where recovery was seen to work
  if (!isEarlier && !(account && (await accounts.isProven(store, account.id, provider))))
    return giveUp(
      context,
      submission,
      isEarlier,
      'No task of it is found, and none ever was at this account: it may have been accepted.',
    )
  await store.answered(videoId, attempt, send, 'absent', 'not found for the whole window')
  return null
}

async function giveUp(
  { store }: SubmitContext,
  { videoId, attempt, send }: SendRecord,
  isEarlier: boolean,
  reason: string,
): Promise<VideoSignal | null> {
  await store.answered(videoId, attempt, send, 'lost', reason)
  // rule: a send nobody can tell of is not repeated
  return isEarlier ? null : { type: 'LOST', reason }
}

async function proveAccount({ accounts, store }: SubmitContext, send: SendRecord): Promise<void> {
  const account = accounts.open(send)
  if (account) await accounts.prove(store, account.id, send.provider)
}

const jitter = ({ clock }: SubmitContext, ms: number) => ms * (0.75 + clock.random() / 2)
/** In words we do not know it is still a task. */
const mayDeliver = (answer: TaskAnswer) =>
  ['working', 'done', 'unusable', 'unknown'].includes(answer.kind)

/** Of one send, among all. */
const nameOf = ({ videoId, attempt, send }: SendRecord) => `${ownId(videoId, attempt)}/${send}`

/** Whether the provider can be asked about this send at all. */
export function isAskable({ providers }: SubmitContext, wanted: Wanted): boolean {
  const { submission, video, ageMs } = wanted
  const provider = providers.of(submission.provider)
  if (!provider) return false
  const isNamed = submission.taskId !== null || isCalled(submission)
  return isNamed || canRecover(canAt(provider, submission), ageMs, video.status !== 'pending')
}

/**
 * Only the provider's own word counts, and only for a task id that was never seen, and when
 * repeated over the whole window.
 */
export const isAbsent = (
  { absences, clock, config }: SubmitContext,
  sent: SendRecord,
  answer: TaskAnswer,
): boolean =>
  // rule: absence counts only after the whole window
  sent.taskId === null &&
  answer.kind === 'missing' &&
  absences.counts(nameOf(sent), clock.now(), config.LOOKUP_WINDOW_MS)

/**
 * Asks; the task's id is the one said, or the one known. Counted, and logged when the words are
 * unknown to us.
 */
export async function ask(context: SubmitContext, wanted: Wanted): Promise<Recovered> {
  const { submission, video } = wanted
  const { providers, accounts, lookups, log, slots } = context
  const account = accounts.open(submission)
  const provider = providers.of(submission.provider)
  const lookUp = { name: nameOf(submission), userId: video.userId }
  const waitMs =
    account && provider ? await context.lookUpTurns.until(account, provider, lookUp) : 0
  if (waitMs > 0)
    return { answer: { kind: 'later', retryAfterMs: waitMs }, taskId: submission.taskId }
  const unreadable = { kind: 'none', reason: 'the stored key cannot be read' } as const
  const { answer, taskId, doubt }: Recovered =
    account && provider
      ? await slots.run(
          account.id,
          () => recoverOrGet(context, provider, account, wanted),
          video.userId,
        )
      : { answer: unreadable, taskId: null }
  lookups.inc({ answer: answer.kind })
  if (answer.kind === 'unknown')
    log.error(
      { video: submission.videoId, body: answer.body },
      'The provider answered a look-up in words unknown to us',
    )
  if (answer.kind === 'none')
    log.warn({ video: submission.videoId, reason: answer.reason }, 'No usable answer to a look-up')
  return { answer, taskId: submission.taskId ?? taskId, ...(doubt ? { doubt } : {}) }
}

/**
 * A task id once seen is recorded. A second task of one attempt was paid for twice: never by two
 * sends of ours, so somebody is told. `seen`: the video as it was just written, if known. Whether
 * the video has this task.
 */
export async function recordTask(
  { store, log, duplicates, publish }: SubmitContext,
  { id, ...task }: { id: string; attempt: number; send: number; taskId: string; how: AcceptedHow },
  seen?: Loaded,
): Promise<boolean> {
  const { fate, event } = await store.recordAcceptance(id, task, seen)
  if (event) publish(event)
  if (fate !== 'duplicate') return fate === 'taken'
  duplicates.inc()
  log.error({ video: id, ...task }, 'The provider has a second task of one attempt')
  return false
}
