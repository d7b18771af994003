/**
 * What became of one send, asked of its provider: in its user's turn, within the account's budget
 * of queries, counted and logged. It decides nothing.
 */
import { canAt } from '#libs/provider/recovery.ts'
import type { TaskAnswer } from '#libs/provider/provider.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import type { SendRecord } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import { canRecover, recoverOrGet, type Recovered, type Wanted } from './recover.ts'

/** Whether a callback named its task, which nobody knows otherwise. */
export const isCalled = ({ taskId, calledTaskId }: SendRecord): boolean =>
  taskId === null && calledTaskId !== null

/** Of one send, among all. */
const nameOf = ({ videoId, attempt, send }: SendRecord) => `${ownId(videoId, attempt)}/${send}`

/** Whether the provider can be asked about this send at all. */
export function isAskable({ providers }: SubmitContext, wanted: Wanted): boolean {
  const { submission } = wanted
  const provider = providers.of(submission.provider)
  if (!provider) return false
  const isNamed = submission.taskId !== null || isCalled(submission)
  return isNamed || canRecover(canAt(provider, submission), wanted)
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

const ofAnother = 'what was found is the task of another video'
const isOfAnother = (
  { store }: SubmitContext,
  { videoId, attempt, send }: SendRecord,
  taskId: string,
) => store.isOfAnother({ id: videoId, attempt, send, taskId })

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
  if (
    submission.taskId === null &&
    taskId !== null &&
    (await isOfAnother(context, submission, taskId))
  )
    return { answer: { kind: 'none', reason: ofAnother }, taskId: null, doubt: ofAnother }
  return { answer, taskId: submission.taskId ?? taskId, ...(doubt ? { doubt } : {}) }
}
