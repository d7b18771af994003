/**
 * What earlier sends became, asked of the provider by task id or own id. Nothing is sent while one
 * of them may still have been accepted, and every question ends: an absence counts after the
 * look-up window, no usable answer at all once the results' life has passed.
 *
 * The window is that of the process that looks: from the first "no such task" it heard itself, on
 * its monotonic clock, and heard several times since. The age of the intent does not do: where
 * Postgres' clock leaps, or the machine slept, a create that is still on its way is old at once.
 */
import type { Account, TaskAnswer } from '#libs/provider/provider.ts'
import { decrypt } from '#libs/runtime/secrets.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { SubmissionRecord } from '#libs/store/submissions.ts'
import type { Loaded, SubmitContext } from './submit-video.ts'

export type Finding =
  /** A task that the video takes. */
  | { kind: 'taken' }
  /** Nothing that could still deliver. */
  | { kind: 'clear' }
  | { kind: 'wait'; ms: number }
  /** Nobody can tell, and nobody ever will. */
  | { kind: 'unknown' }

/**
 * How often a task must have been absent before that counts: more than a leap of the clock between
 * two looks.
 */
const leastLooks = 3
const mostRemembered = 50_000

/** When this process first heard that a send is absent, and how often since. */
export class Absences {
  readonly #seen = new Map<string, { since: number; looks: number }>()

  /** Notes another absence; whether it now counts. */
  counts(key: string, now: number, windowMs: number): boolean {
    const seen = this.#seen.get(key) ?? { since: now, looks: 0 }
    seen.looks++
    this.#seen.set(key, seen)
    if (this.#seen.size > mostRemembered) this.#seen.delete(this.#seen.keys().next().value!)
    const counts = seen.looks >= leastLooks && now - seen.since >= windowMs
    if (counts) this.#seen.delete(key)
    return counts
  }
}

const clear = { kind: 'clear' } as const
const taken = { kind: 'taken' } as const

/**
 * Settles every send that may have been accepted, of this attempt and of earlier ones, oldest
 * first.
 */
export async function lookUpSends(context: SubmitContext, loaded: Loaded): Promise<Finding> {
  for (const [index, submission] of loaded.submissions.entries()) {
    const finding = await lookUpSend(context, submission, {
      ageMs: loaded.ageMs[index]!,
      isEarlier: submission.attempt !== loaded.video.attempt,
    })
    if (finding.kind !== 'clear') return finding
  }
  return clear
}

async function lookUpSend(
  context: SubmitContext,
  submission: SubmissionRecord,
  { ageMs, isEarlier }: { ageMs: number; isEarlier: boolean },
): Promise<Finding> {
  if (submission.answer === 'lost') return isEarlier ? clear : { kind: 'unknown' }
  if (
    (submission.answer !== null && submission.answer !== 'accepted') ||
    submission.outcome === 'failed'
  )
    return clear
  const { provider, store, log } = context
  const { videoId, attempt, send } = submission
  const giveUp = async (): Promise<Finding> => {
    await store.answered(videoId, attempt, send, 'lost', 'no usable answer to any look-up')
    // rule: a send nobody can tell of is not repeated
    return isEarlier ? clear : { kind: 'unknown' }
  }
  if (!isAskable(context, submission))
    return ageMs >= context.config.LOOKUP_WINDOW_MS
      ? giveUp()
      : { kind: 'wait', ms: context.config.LOOKUP_WINDOW_MS - ageMs }

  const { answer, taskId } = await ask(context, submission)
  if (taskId !== null && !isEarlier) {
    await recordTask(context, submission, taskId, 'lookup')
    log.info({ video: videoId, taskId }, 'Lost answer found by own id')
    return taken
  }
  // rule: a retry takes what earlier attempts became
  if (taskId !== null && mayDeliver(answer)) {
    await recordTask(context, submission, taskId, 'adopted')
    log.info({ video: videoId, taskId }, 'Earlier task adopted')
    return taken
  }
  if (taskId !== null && answer.kind === 'failed') {
    await recordTask(context, submission, taskId, 'lookup')
    await store.noteLate(videoId, attempt, send, 'failed', { code: answer.error.code })
    return clear
  }
  // rule: the look-up window is the looking process’s own
  if (isAbsent(context, submission, answer)) {
    await store.answered(
      videoId,
      attempt,
      send,
      'absent',
      'not found by own id for the whole window',
    )
    return clear
  }
  if (ageMs >= provider.resultLifeMs) return giveUp()
  return {
    kind: 'wait',
    ms:
      answer.kind === 'later'
        ? (answer.retryAfterMs ?? 5_000)
        : jitter(context, Math.min(5_000, Math.max(500, ageMs / 4))),
  }
}

const jitter = ({ clock }: SubmitContext, ms: number) => ms * (0.75 + clock.random() / 2)
/** In words we do not know it is still a task. */
const mayDeliver = (answer: TaskAnswer) =>
  answer.kind === 'working' || answer.kind === 'done' || answer.kind === 'unknown'

/** Whether the provider can be asked about this send at all. */
export const isAskable = ({ provider }: SubmitContext, { taskId }: SubmissionRecord): boolean =>
  taskId !== null || provider.can.findByOwnId

/**
 * Only the provider's own word counts, and only for a task id that was never seen, and when
 * repeated over the whole window.
 */
export const isAbsent = (
  { absences, clock, config }: SubmitContext,
  { videoId, attempt, send, taskId }: SubmissionRecord,
  answer: TaskAnswer,
): boolean =>
  // rule: absence counts only after the whole window
  taskId === null &&
  answer.kind === 'missing' &&
  absences.counts(`${ownId(videoId, attempt)}/${send}`, clock.now(), config.LOOKUP_WINDOW_MS)

/**
 * Asks; the task's id is the one said, or the one known. Counted, and logged when the words are
 * unknown to us.
 */
export async function ask(
  context: SubmitContext,
  submission: SubmissionRecord,
): Promise<{ answer: TaskAnswer; taskId: string | null }> {
  const { provider, lookups, log } = context
  const account = readableAccount(context, submission)
  const { answer, taskId } = account
    ? submission.taskId === null
      ? await provider.find(account, ownId(submission.videoId, submission.attempt))
      : await provider.get(account, submission.taskId)
    : { answer: { kind: 'none', reason: 'the stored key cannot be read' } as const, taskId: null }
  lookups.inc({ answer: answer.kind })
  if (answer.kind === 'unknown')
    log.error(
      { video: submission.videoId, body: answer.body },
      'The provider answered a look-up in words unknown to us',
    )
  if (answer.kind === 'none')
    log.warn({ video: submission.videoId, reason: answer.reason }, 'No usable answer to a look-up')
  return { answer, taskId: submission.taskId ?? taskId }
}

/**
 * A task id once seen is recorded. A second task of one attempt was paid for twice: never by two
 * sends of ours, so somebody is told.
 */
export async function recordTask(
  { store, log, duplicates }: SubmitContext,
  { videoId, attempt, send }: Pick<SubmissionRecord, 'videoId' | 'attempt' | 'send'>,
  taskId: string,
  how: 'answer' | 'lookup' | 'adopted',
) {
  const fate = await store.accepted(videoId, attempt, send, taskId, how)
  if (fate !== 'duplicate') return
  duplicates.inc()
  log.error({ video: videoId, attempt, taskId }, 'The provider has a second task of one attempt')
}

/** Null when the key was encrypted with another key-encryption key. */
function readableAccount(
  { config }: SubmitContext,
  { baseUrl, keyCipher }: { baseUrl: string; keyCipher: string },
): Account | null {
  try {
    return { baseUrl, apiKey: decrypt(keyCipher, config.KEY_ENCRYPTION_KEY) }
  } catch {
    return null
  }
}
