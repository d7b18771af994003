/**
 * One pending video, one step further: look up what may have been accepted, else intend and send.
 *
 * Throws Later to be called again. Never sends while an earlier send of this attempt, or of an
 * earlier attempt, may still have been accepted. A deadline or a cancel ends the video also while a
 * send is in doubt: that send stays watched.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { Snooze, publishWork, type DeadLetterCounter } from '#libs/bus/work.ts'
import type { Account, CreateAnswer, Provider } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { CounterLike } from '#libs/runtime/metrics.ts'
import { decrypt, encrypt } from '#libs/runtime/secrets.ts'
import { pollWorkSubject } from '#libs/scene-video/messages.ts'
import { hadAllSends, maxSends } from '#libs/scene-video/decisions.ts'
import { ownId, type VideoError } from '#libs/scene-video/scene-video.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { Pins, SubmissionRecord, SubmissionWriter } from '#libs/store/submissions.ts'
import type { SubmitConfig } from './config.ts'
import { lookUpSends, recordTask, type Absences } from './look-up.ts'

export interface SubmitContext {
  config: Pick<
    SubmitConfig,
    | 'TOAPIS_BASE_URL'
    | 'TOAPIS_API_KEY'
    | 'TOAPIS_MODEL'
    | 'KEY_ENCRYPTION_KEY'
    | 'SEND_WINDOW_MS'
    | 'LOOKUP_WINDOW_MS'
    | 'CREATE_CONCURRENCY'
  >
  log: Logger
  bus: Bus
  store: InterfaceOf<SubmissionWriter>
  provider: Provider
  clock: Clock
  publish(id: string): Promise<unknown>
  creates: CounterLike<'answer'>
  lookups: CounterLike<'answer'>
  late: CounterLike<'said'>
  duplicates: CounterLike<never>
  dead: DeadLetterCounter
  /** Per account: no create before this monotonic instant, as the provider asked. */
  throttledUntil: Map<string, number>
  absences: Absences
}

export type Loaded = NonNullable<Awaited<ReturnType<SubmissionWriter['load']>>>
/**
 * However long the wait: looked at this often, so that a deadline and a cancel are noticed and the
 * row is touched.
 */
const longestSleepMs = 45_000
const later = ({ untilDeadlineMs }: Loaded, ms: number) =>
  new Snooze(Math.max(50, Math.min(ms, longestSleepMs, untilDeadlineMs ?? Infinity)))

export async function submitVideo(context: SubmitContext, id: string): Promise<void> {
  const loaded = await context.store.load(id)
  if (!loaded) return
  const { video } = loaded
  if (video.taskId !== null && (video.status === 'pending' || video.status === 'generating'))
    return handOver(context, id)
  if (video.status !== 'pending') return
  await context.store.touch(id)
  if (video.provider !== context.provider.name)
    return fail(context, id, video.attempt, {
      code: 'unknown_provider',
      message: `No provider is called ${video.provider}.`,
    })
  // rule: after a restore earlier attempts are looked up, too
  if (
    video.restoredAt !== null &&
    (await context.store.addDoubtfulIntentsAfterRestore(
      id,
      pinsOf(context, loaded.config, loaded.submissions.at(-1)),
    ))
  )
    throw new Snooze(0)
  // rule: what may have been accepted is looked up
  const finding = await lookUpSends(context, loaded)
  if (finding.kind === 'taken') return handOver(context, id)
  const inDoubt =
    finding.kind === 'clear'
      ? ''
      : ' A send is in doubt; what it became is watched, and a retry takes it.'
  if (loaded.untilDeadlineMs !== null && loaded.untilDeadlineMs <= 0)
    return fail(context, id, video.attempt, {
      code: 'timed_out',
      message: `The deadline passed before the provider’s acceptance was known.${inDoubt}`,
    })
  if (video.cancelRequested)
    return fail(context, id, video.attempt, {
      code: 'cancelled',
      message: `Cancelled before the provider’s acceptance was known.${inDoubt}`,
    })
  if (finding.kind === 'unknown')
    return fail(context, id, video.attempt, {
      code: 'submission_unknown',
      message: 'The provider may or may not have accepted it, and cannot be asked any more.',
    })
  if (finding.kind === 'wait') throw later(loaded, finding.ms)
  if (hadAllSends(loaded.submissions.filter((one) => one.attempt === video.attempt)))
    return fail(context, id, video.attempt, {
      code: 'submission_unknown',
      message: `The provider lost ${maxSends} sends of it; a retry sends it again.`,
    })
  return intendAndSend(context, loaded)
}

async function intendAndSend(context: SubmitContext, loaded: Loaded): Promise<void> {
  const { config, store, clock } = context
  const { video, submissions } = loaded
  const { id, attempt } = video
  const last = submissions.findLast((one) => one.attempt === attempt)
  const pins = pinsOf(context, loaded.config, last)
  const account = {
    baseUrl: pins.baseUrl,
    apiKey: decrypt(pins.keyCipher, config.KEY_ENCRYPTION_KEY),
  }
  const wait = (context.throttledUntil.get(accountKey(account)) ?? 0) - clock.now()
  if (wait > 0) return throttle(context, loaded, wait, 'waiting for the provider’s rate limit')

  const send = (last?.send ?? 0) + 1
  const begun = clock.now()
  // rule: only the winner of the intent sends
  if (!(await store.intend(id, attempt, send, pins)))
    throw new Snooze(1_000 * (0.75 + clock.random() / 2))
  crashPoint('intent-committed')
  // rule: after a restore a video is looked up before a send
  // Postgres was restored: looked up, as a send in doubt, before anything is sent
  if (intentMayBeLost(loaded)) throw new Snooze(0)
  // rule: nothing is sent after the send window
  if (clock.now() - begun > config.SEND_WINDOW_MS) {
    await store.answered(id, attempt, send, 'later', 'send window passed, not sent')
    throw new Snooze(0)
  }
  const params = video.params as Record<string, never>
  const answer = await context.provider.create(account, {
    ...params,
    ownId: ownId(id, attempt),
    model: video.model,
    prompt: video.prompt,
  })
  crashPoint('create-answered')
  context.creates.inc({ answer: answer.kind })
  return onAnswer(context, loaded, { send, account }, answer)
}

async function onAnswer(
  context: SubmitContext,
  loaded: Loaded,
  { send, account }: { send: number; account: Account },
  answer: CreateAnswer,
): Promise<void> {
  const { store, log } = context
  const { id, attempt } = loaded.video
  switch (answer.kind) {
    case 'accepted':
      await recordTask(context, { videoId: id, attempt, send }, answer.taskId, 'answer')
      crashPoint('acceptance-recorded')
      log.info({ video: id, taskId: answer.taskId, attempt }, 'Submitted')
      return handOver(context, id)
    case 'refused':
      await store.answered(id, attempt, send, 'refused', answer.error.message)
      return fail(context, id, attempt, answer.error)
    case 'later': {
      await store.answered(id, attempt, send, 'later', answer.reason)
      const wait = answer.retryAfterMs ?? Math.min(30_000, 500 * 2 ** Math.min(send, 7))
      context.throttledUntil.set(accountKey(account), context.clock.now() + wait)
      return throttle(context, loaded, wait, answer.reason)
    }
    // rule: a lost answer is not taken for a refusal
    case 'unreadable':
    case 'unknown':
      log.warn(
        { video: id, attempt, reason: answer.reason },
        'Answer to the create is lost; looking it up by own id',
      )
      throw new Snooze(500)
  }
}

async function throttle(
  context: SubmitContext,
  loaded: Loaded,
  waitMs: number,
  reason: string,
): Promise<never> {
  const { id, attempt } = loaded.video
  if (await context.store.throttled(id, attempt, reason)) await context.publish(id)
  throw later(loaded, waitMs + context.clock.random() * Math.max(1_000, waitMs))
}

async function fail(
  context: SubmitContext,
  id: string,
  attempt: number,
  error: VideoError,
): Promise<void> {
  if (!(await context.store.failPending(id, attempt, error))) return
  context.log.info({ video: id, code: error.code }, `Video failed: ${error.message}`)
  await context.publish(id)
}

/**
 * Queues the video for the pollers and publishes what was recorded; repeated, both change nothing.
 */
async function handOver(context: SubmitContext, id: string): Promise<void> {
  await publishWork(context.bus, pollWorkSubject(id), { id })
  await context.publish(id)
}

/** Whether Postgres went back to an older copy since this attempt last intended a send. */
const intentMayBeLost = ({ video, submissions }: Loaded): boolean =>
  video.restoredAt !== null &&
  !submissions.some((one) => one.attempt === video.attempt && one.intentAt > video.restoredAt!)

/** An intent pins provider, base URL and key; a further send of the same attempt uses the same. */
function pinsOf(
  context: SubmitContext,
  own: Loaded['config'],
  earlier: SubmissionRecord | undefined,
): Pins {
  if (earlier)
    return { provider: earlier.provider, baseUrl: earlier.baseUrl, keyCipher: earlier.keyCipher }
  return { provider: context.provider.name, ...addressAndKey(context, own) }
}

/** The system's key goes to the system's address only. */
export function addressAndKey(
  { config }: SubmitContext,
  own: { baseUrl: string | null; keyCipher: string | null } | null,
): { baseUrl: string; keyCipher: string } {
  if (own?.keyCipher)
    return { baseUrl: own.baseUrl ?? config.TOAPIS_BASE_URL, keyCipher: own.keyCipher }
  return {
    baseUrl: config.TOAPIS_BASE_URL,
    keyCipher: encrypt(config.TOAPIS_API_KEY, config.KEY_ENCRYPTION_KEY),
  }
}

/** Who the provider's rate limits are about. */
const accountKey = ({ baseUrl, apiKey }: Account) => `${baseUrl} ${apiKey}`
