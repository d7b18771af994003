/**
 * One pending video, one step further: look up what may have been accepted, else intend and send.
 *
 * Throws Later to be called again. Never sends while an earlier send of this attempt, or of an earlier attempt, may still
 * have been accepted.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { Later, publishWork } from '#libs/bus/work.ts'
import type { Account, CreateAnswer, Provider } from '#libs/provider/provider.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Tally } from '#libs/runtime/metrics.ts'
import { decrypt, encrypt } from '#libs/runtime/secrets.ts'
import { pollWorkSubject } from '#libs/scene-video/messages.ts'
import { ownId, type VideoError } from '#libs/scene-video/scene-video.ts'
import type { Public } from '#libs/store/connect.ts'
import type { Pins, SubmissionRecord, SubmissionWriter } from '#libs/store/submissions.ts'
import type { SubmitConfig } from './config.ts'

export interface SubmitContext {
  config: Pick<SubmitConfig, 'TOAPIS_BASE_URL' | 'TOAPIS_API_KEY' | 'TOAPIS_MODEL' | 'KEY_ENCRYPTION_KEY' | 'SEND_WINDOW_MS' | 'LOOKUP_WINDOW_MS' | 'CREATE_CONCURRENCY'>
  log: Logger
  bus: Bus
  store: Public<SubmissionWriter>
  provider: Provider
  clock: Clock
  publish(id: string): Promise<unknown>
  creates: Tally<'answer'>
  /** Per account: no create before this monotonic instant, as the provider asked. */
  throttledUntil: Map<string, number>
}

type Loaded = NonNullable<Awaited<ReturnType<SubmissionWriter['load']>>>
const jitter = ({ clock }: SubmitContext, ms: number) => ms * (0.75 + clock.random() / 2)

export async function submitVideo(context: SubmitContext, id: string): Promise<void> {
  const loaded = await context.store.load(id)
  if (!loaded) return
  const { video } = loaded
  if (video.taskId !== null && (video.status === 'pending' || video.status === 'generating')) return handOver(context, id)
  if (video.status !== 'pending') return
  await context.store.touch(id)
  if (video.provider !== context.provider.name) return fail(context, id, video.attempt, { code: 'unknown_provider', message: `No provider is called ${video.provider}.` })
  if (await lookUpOpenSends(context, loaded)) return handOver(context, id)
  if (video.cancelRequested) return fail(context, id, video.attempt, { code: 'cancelled', message: 'Cancelled before the provider accepted it.' })
  if (loaded.pastDeadline) return fail(context, id, video.attempt, { code: 'timed_out', message: 'The deadline passed before the provider accepted it.' })
  return intendAndSend(context, loaded)
}

/**
 * Settles every send that may have been accepted, of this attempt and of earlier ones. True when a task was found that the
 * video takes. @throws Later while somebody may still be accepting one.
 */
async function lookUpOpenSends(context: SubmitContext, { video, submissions, ageMs }: Loaded): Promise<boolean> {
  for (const [index, submission] of submissions.entries()) {
    if (submission.answer === 'accepted' && submission.attempt !== video.attempt && (await adopt(context, submission))) return true
    if (submission.answer !== null) continue
    if (await lookUp(context, submission, ageMs[index]!)) return true
  }
  return false
}

/** Takes over an earlier attempt's task unless the provider says it failed. */
async function adopt(context: SubmitContext, submission: SubmissionRecord): Promise<boolean> {
  const { answer } = await context.provider.get(accountOf(context, submission), submission.taskId!)
  if (answer.kind === 'failed') return false
  if (answer.kind !== 'working' && answer.kind !== 'done') throw new Later(jitter(context, 5_000))
  await context.store.accepted(submission.videoId, submission.attempt, submission.send, submission.taskId!, 'adopted')
  context.log.info({ video: submission.videoId, taskId: submission.taskId }, 'Earlier task adopted')
  return true
}

/** True when found; false when absent for the whole window, so certainly not accepted. @throws Later in between */
async function lookUp(context: SubmitContext, submission: SubmissionRecord, ageMs: number): Promise<boolean> {
  const { videoId, attempt, send } = submission
  const { answer, taskId } = await context.provider.get(accountOf(context, submission), ownId(videoId, attempt))
  if (taskId !== null) {
    await context.store.accepted(videoId, attempt, send, taskId, 'lookup')
    context.log.info({ video: videoId, taskId }, 'Lost answer found by own id')
    return true
  }
  const over = ageMs >= context.config.LOOKUP_WINDOW_MS
  if (answer.kind !== 'missing' || !over) throw new Later(jitter(context, Math.min(5_000, Math.max(500, ageMs / 4))))
  await context.store.answered(videoId, attempt, send, 'absent', 'not found by own id for the whole window')
  return false
}

async function intendAndSend(context: SubmitContext, { video, submissions, config: own }: Loaded): Promise<void> {
  const { config, store, clock } = context
  const { id, attempt } = video
  const pins = pinsOf(context, own, submissions.findLast((one) => one.attempt === attempt))
  const wait = (context.throttledUntil.get(accountKey(pins)) ?? 0) - clock.now()
  if (wait > 0) return throttle(context, id, attempt, wait, 'waiting for the provider’s rate limit')

  const send = submissions.filter((one) => one.attempt === attempt).length + 1
  const begun = clock.now()
  if (!(await store.intend(id, attempt, send, pins))) throw new Later(jitter(context, 1_000))
  crashPoint('intent-committed')
  if (clock.now() - begun > config.SEND_WINDOW_MS) {
    await store.answered(id, attempt, send, 'later', 'send window passed, not sent')
    throw new Later(0)
  }
  const params = video.params as Record<string, never>
  const answer = await context.provider.create({ baseUrl: pins.baseUrl, apiKey: decrypt(pins.keyCipher, config.KEY_ENCRYPTION_KEY) }, { ...params, ownId: ownId(id, attempt), model: video.model, prompt: video.prompt })
  crashPoint('create-answered')
  context.creates.inc({ answer: answer.kind })
  return onAnswer(context, { id, attempt, send, pins }, answer)
}

async function onAnswer(context: SubmitContext, sent: { id: string; attempt: number; send: number; pins: Pins }, answer: CreateAnswer): Promise<void> {
  const { id, attempt, send, pins } = sent
  const { store, log } = context
  switch (answer.kind) {
    case 'accepted':
      await store.accepted(id, attempt, send, answer.taskId, 'answer')
      crashPoint('acceptance-recorded')
      log.info({ video: id, taskId: answer.taskId, attempt }, 'Submitted')
      return handOver(context, id)
    case 'refused':
      await store.answered(id, attempt, send, 'refused', answer.error.message)
      return fail(context, id, attempt, answer.error)
    case 'later': {
      await store.answered(id, attempt, send, 'later', answer.reason)
      const wait = answer.retryAfterMs ?? Math.min(30_000, 500 * 2 ** Math.min(send, 7))
      context.throttledUntil.set(accountKey(pins), context.clock.now() + wait)
      return throttle(context, id, attempt, wait, answer.reason)
    }
    case 'unknown':
      log.warn({ video: id, attempt, reason: answer.reason }, 'Answer to the create is lost; looking it up by own id')
      throw new Later(500)
  }
}

async function throttle(context: SubmitContext, id: string, attempt: number, waitMs: number, reason: string): Promise<never> {
  if (await context.store.throttled(id, attempt, reason)) await context.publish(id)
  throw new Later(waitMs + context.clock.random() * Math.max(1_000, waitMs))
}

async function fail(context: SubmitContext, id: string, attempt: number, error: VideoError): Promise<void> {
  if (!(await context.store.failPending(id, attempt, error))) return
  context.log.info({ video: id, code: error.code }, `Video failed: ${error.message}`)
  await context.publish(id)
}

/** Queues the video for the pollers and publishes what was recorded; repeated, both change nothing. */
async function handOver(context: SubmitContext, id: string): Promise<void> {
  await publishWork(context.bus, pollWorkSubject(id), { id })
  await context.publish(id)
}

/** An intent pins provider, base URL and key; a further send of the same attempt uses the same. */
function pinsOf(context: SubmitContext, own: Loaded['config'], earlier: SubmissionRecord | undefined): Pins {
  if (earlier) return { provider: earlier.provider, baseUrl: earlier.baseUrl, keyCipher: earlier.keyCipher }
  return { provider: context.provider.name, ...addressAndKey(context, own) }
}

/** The system's key goes to the system's address only. */
export function addressAndKey({ config }: SubmitContext, own: { baseUrl: string | null; keyCipher: string | null } | null): { baseUrl: string; keyCipher: string } {
  if (own?.keyCipher) return { baseUrl: own.baseUrl ?? config.TOAPIS_BASE_URL, keyCipher: own.keyCipher }
  return { baseUrl: config.TOAPIS_BASE_URL, keyCipher: encrypt(config.TOAPIS_API_KEY, config.KEY_ENCRYPTION_KEY) }
}

/** System keys are one account per base URL; a user's own key is told apart by its cipher text. */
const accountKey = (pins: Pins) => pins.baseUrl

export function accountOf(context: SubmitContext, pins: { baseUrl: string; keyCipher: string }): Account {
  return { baseUrl: pins.baseUrl, apiKey: decrypt(pins.keyCipher, context.config.KEY_ENCRYPTION_KEY) }
}
