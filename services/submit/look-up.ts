/**
 * What earlier sends became, asked of the provider by task id or own id. Nothing is sent while one
 * of them may still have been accepted, and every question ends: an absence counts after the
 * look-up window (see absences.ts), no usable answer at all once the results' life has passed.
 */
import type { TaskAnswer } from '#libs/provider/provider.ts'
import {
  isFinal,
  isNotAccepted,
  isToLookUp,
  type AcceptedHow,
} from '#libs/scene-video/decisions.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { VideoSignal } from '#libs/scene-video/signals.ts'
import type { AcceptanceResult, Loaded, SendRecord } from '#libs/store/submissions.ts'
import { proofOf } from './proofs.ts'
import type { SubmitContext } from './context.ts'
import { ask, isAbsent, isAskable, isCalled } from './ask-about.ts'
import type { Recovered, Wanted } from './recover.ts'

const accepted: VideoSignal = { type: 'ACCEPTED' }

/**
 * Settles every send that may have been accepted, of this attempt and of earlier ones, oldest
 * first.
 */
export async function lookUpSends(context: SubmitContext, loaded: Loaded): Promise<VideoSignal> {
  const { video, ageMs } = loaded
  for (const [index, submission] of loaded.submissions.entries()) {
    const wanted = { submission, video, ageMs: ageMs[index]! }
    const isEarlier = submission.attempt !== video.attempt
    const finding =
      isEarlier && isFinal(submission.answer)
        ? await lookOnceMore(context, wanted, loaded.requestedMs)
        : await lookUpSend(context, wanted, isEarlier, loaded.requestedMs)
    if (finding) return finding
  }
  return { type: 'ABSENT' }
}

/** Null where nothing of it could still deliver. */
async function lookUpSend(
  context: SubmitContext,
  wanted: Wanted,
  isEarlier: boolean,
  requestedMs: number,
): Promise<VideoSignal | null> {
  const { submission, ageMs } = wanted
  const { answer: known, outcome } = submission
  // rule: what a callback named is asked for, however lost its send is
  if (known === 'lost' && !isCalled(submission)) return { type: 'LOST', reason: cannotBeAsked }
  if (isNotAccepted(known) || outcome === 'failed') return null
  const { providers, log } = context
  const { videoId: id, attempt, send } = submission
  if (!isAskable(context, wanted)) {
    const waitMs = callbackMs(context, submission)
    return ageMs >= waitMs
      ? giveUp(context, submission, isEarlier, cannotBeAsked, false)
      : inDoubt(isEarlier, waitMs - ageMs, untilCalled)
  }

  const { answer, taskId, doubt } = await ask(context, wanted)
  if (taskId !== null && !isEarlier) {
    await recordTask(context, { id, attempt, send, taskId, how: 'lookup' })
    log.info({ video: id, taskId }, 'Lost answer found at the provider')
    await proveAccount(context, wanted)
    return accepted
  }
  const fate = await fateOfEarlier(context, submission, { answer, taskId, requestedMs })
  if (fate !== undefined) return fate
  // rule: the look-up window is the looking process’s own
  if (isAbsent(context, submission, answer)) return onAbsent(context, wanted, isEarlier)
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
    return giveUp(context, submission, isEarlier, cannotBeAsked, false)
  const ms =
    answer.kind === 'later'
      ? (answer.retryAfterMs ?? 5_000)
      : jitter(context, Math.min(30_000, Math.max(500, ageMs / 3)))
  return inDoubt(isEarlier, ms)
}

/** For so long a retry asks what became of a create that was refused, whose key may be, too. */
const refusedMs = 5_000

/**
 * What ended an earlier attempt is asked about by a retry until there is one answer; over one
 * window at most where none can be used. Null where nothing of it can deliver, as far as anybody
 * can tell.
 */
async function lookOnceMore(
  context: SubmitContext,
  wanted: Wanted,
  requestedMs: number,
): Promise<VideoSignal | null> {
  const { submission, video } = wanted
  if (!isToLookUp(video, submission) || !isAskable(context, wanted)) return null
  const { answer, taskId, doubt } = await ask(context, wanted)
  const fate = await fateOfEarlier(context, submission, { answer, taskId, requestedMs })
  if (fate !== undefined) return fate
  if (answer.kind === 'later') return inDoubt(true, answer.retryAfterMs ?? 5_000)
  const windowMs = submission.answer === 'refused' ? refusedMs : context.config.LOOKUP_WINDOW_MS
  const isTold = answer.kind === 'missing' || doubt !== undefined
  if (!isTold && requestedMs < windowMs)
    return inDoubt(true, jitter(context, Math.max(1_000, requestedMs / 3)))
  await context.store.looked(submission.videoId, submission.attempt, submission.send)
  return null
}

/** Of a task of an earlier attempt; undefined where it is none that can be told of. */
async function fateOfEarlier(
  context: SubmitContext,
  { videoId: id, attempt, send }: SendRecord,
  { answer, taskId, requestedMs }: Recovered & { requestedMs: number },
): Promise<VideoSignal | null | undefined> {
  if (taskId === null) return undefined
  // rule: a retry waits one window for the link of what is done
  if (answer.kind === 'unusable' && requestedMs < context.config.LOOKUP_WINDOW_MS)
    return inDoubt(true, jitter(context, Math.max(1_000, requestedMs / 3)), linkMissing)
  // rule: a retry takes what earlier attempts became
  if (mayDeliver(answer)) {
    await recordTask(context, { id, attempt, send, taskId, how: 'adopted' })
    context.log.info({ video: id, taskId }, 'Earlier task adopted')
    return accepted
  }
  if (answer.kind !== 'failed' && answer.kind !== 'unusable') return undefined
  await recordTask(context, { id, attempt, send, taskId, how: 'lookup' })
  await context.store.noteLate(id, attempt, send, 'failed', { code: answer.error.code })
  return null
}

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
const linkMissing = 'an earlier attempt’s task is done, and its link is asked for once more'
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
  { submission, video }: Wanted,
  isEarlier: boolean,
): Promise<VideoSignal | null> {
  const { store } = context
  const { videoId, attempt, send, answer } = submission
  if (answer === 'unreadable')
    return giveUp(
      context,
      submission,
      isEarlier,
      'The provider’s answer to its create could not be read, and no task of it is found.',
    )
  // rule: absence counts only where recovery was seen to work
  if (!isEarlier && !(await isProven(context, submission, video.model)))
    return giveUp(
      context,
      submission,
      isEarlier,
      'No task of it is found, and none of its kind ever was at this account: it may have been accepted.',
    )
  await store.answered(videoId, attempt, send, 'absent', 'not found for the whole window')
  return null
}

/** `isOpen`: the provider can be asked, and is asked on for as long as it keeps results. */
async function giveUp(
  { store }: SubmitContext,
  { videoId, attempt, send }: SendRecord,
  isEarlier: boolean,
  reason: string,
  isOpen = true,
): Promise<VideoSignal | null> {
  // this was the look that a retry takes at it
  if (isEarlier) await store.looked(videoId, attempt, send)
  // rule: what nobody can tell of is asked about as long as results live
  await store.answered(videoId, attempt, send, 'lost', reason, isOpen)
  // rule: a send nobody can tell of is not repeated
  return isEarlier ? null : { type: 'LOST', reason }
}

function proofOfSend({ accounts, providers }: SubmitContext, send: SendRecord, model: string) {
  const account = accounts.open(send)
  const provider = providers.of(send.provider)
  return account && provider && proofOf(provider, account, model)
}

async function isProven(context: SubmitContext, send: SendRecord, model: string) {
  const proof = proofOfSend(context, send, model)
  return Boolean(proof && (await context.accounts.isProven(context.store, proof, send.provider)))
}

async function proveAccount(context: SubmitContext, { submission, video }: Wanted): Promise<void> {
  const proof = proofOfSend(context, submission, video.model)
  if (proof) await context.accounts.prove(context.store, proof.id, submission.provider)
}

const jitter = ({ clock }: SubmitContext, ms: number) => ms * (0.75 + clock.random() / 2)
/** In words we do not know it is still a task. */
const mayDeliver = (answer: TaskAnswer) => ['working', 'done', 'unknown'].includes(answer.kind)

/**
 * A task id once seen is recorded. A second task of one attempt was paid for twice: never by two
 * sends of ours, so somebody is told. `seen`: the video as it was just written, if known.
 */
export async function recordTask(
  { store, log, duplicates, publish }: SubmitContext,
  { id, ...task }: { id: string; attempt: number; send: number; taskId: string; how: AcceptedHow },
  seen?: Loaded,
): Promise<AcceptanceResult['fate']> {
  const { fate, event } = await store.recordAcceptance(id, task, seen)
  if (event) publish(event)
  if (fate === 'duplicate') {
    duplicates.inc()
    log.error({ video: id, ...task }, 'The provider has a second task of one attempt')
  }
  return fate
}
