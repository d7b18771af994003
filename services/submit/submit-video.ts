/**
 * One step of a pending video: looks up what may have been accepted, else commits an intent and
 * sends the create, then acts on the answer. What comes back is when to go on; nothing waits in
 * here but for a turn and an answer. Every step may be repeated.
 */
import { publishWork } from '#libs/bus/work.ts'
import type { CreateAnswer } from '#libs/provider/provider.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import {
  decidePendingEnd,
  hadAllSends,
  isNotAccepted,
  maxSends,
} from '#libs/scene-video/decisions.ts'
import { pollWorkSubject } from '#libs/scene-video/messages.ts'
import { createParamsSchema, ownId, type VideoError } from '#libs/scene-video/scene-video.ts'
import type { Loaded, Pins, SendRecord } from '#libs/store/submissions.ts'
import type { SendingAccount } from './accounts.ts'
import { addressAndKey, type SubmitContext } from './context.ts'
import { lookUpSends, proveByLookUp, recordTask } from './look-up.ts'

/** Milliseconds after which it is to be worked on again; null when there is nothing left to do. */
export type Again = number | null

/** However long the wait: tried this often, so that a changed answer is noticed. */
const longestWaitMs = 60_000
const leastWaitMs = 50

export async function submitVideo(context: SubmitContext, id: string): Promise<Again> {
  const loaded = await context.store.load(id)
  if (!loaded) return null
  const { video } = loaded
  if (video.taskId !== null && (video.status === 'pending' || video.status === 'generating'))
    return handOver(context, id)
  if (video.status !== 'pending') return null
  const end = decidePendingEnd({ ...loaded, cancelRequested: video.cancelRequested })
  if (end) return fail(context, loaded, end)
  if (loaded.untilTryMs !== null && loaded.untilTryMs > leastWaitMs)
    return Math.min(loaded.untilTryMs, loaded.untilDeadlineMs ?? Infinity)
  if (video.provider !== context.provider.name)
    return fail(context, loaded, {
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
    return 0
  // rule: what may have been accepted is looked up
  const finding = await lookUpSends(context, loaded)
  if (finding.kind === 'taken') return handOver(context, id)
  if (finding.kind === 'unknown')
    return fail(context, loaded, {
      code: 'submission_unknown',
      message: finding.reason,
    })
  if (finding.kind === 'wait')
    return wait(context, loaded, { reason: finding.reason, ms: finding.ms, throttled: false })
  if (hadAllSends(loaded.submissions.filter((one) => one.attempt === video.attempt)))
    return fail(context, loaded, {
      code: 'submission_unknown',
      message: `The provider lost ${maxSends} sends of it; a retry sends it again.`,
    })
  return sendCreate(context, loaded)
}

async function sendCreate(context: SubmitContext, loaded: Loaded): Promise<Again> {
  const { accounts, clock, slots } = context
  const { video, submissions } = loaded
  const last = submissions.findLast((one) => one.attempt === video.attempt)
  // rule: a further send keeps the first one’s pins
  const pins = pinsOf(context, loaded.config, last)
  const account = accounts.open(pins)
  if (!account)
    return wait(context, loaded, {
      reason: 'the stored key cannot be read',
      ms: longestWaitMs,
      throttled: false,
    })
  const params = createParamsSchema.safeParse(video.params)
  if (!params.success)
    return fail(context, loaded, {
      code: 'invalid_request',
      message: 'Its stored parameters cannot be read.',
    })
  return slots.run(account.id, async () => {
    const throttledMs = accounts.throttledMs(account.id, clock.now())
    if (throttledMs > 0)
      return throttle(
        context,
        loaded,
        throttledMs,
        loaded.waitReason ?? 'the provider’s rate limit',
      )
    const send = (last?.send ?? 0) + 1
    const begun = clock.now()
    const mayWrite = () => clock.now() - begun <= context.config.SEND_WINDOW_MS
    const intended = await intendInTime(context, loaded, { send, pins, mayWrite })
    if (typeof intended === 'number') return intended
    const request = {
      ...params.data,
      ownId: ownId(video.id, video.attempt),
      model: video.model,
      prompt: video.prompt,
    }
    const answer = await context.provider.create(account, request, { mayWrite })
    crashPoint('create-answered')
    context.creates.inc({ answer: answer.kind })
    return onAnswer(context, intended, { send, account }, answer)
  })
}

/** The video with its intent, to be sent now; or when to look at it again, and nothing is sent. */
async function intendInTime(
  context: SubmitContext,
  loaded: Loaded,
  { send, pins, mayWrite }: { send: number; pins: Pins; mayWrite: () => boolean },
): Promise<Loaded | number> {
  const { store, clock } = context
  const { id, attempt } = loaded.video
  // a look-up has changed what was read of the sends
  const isAsRead = loaded.submissions.every(
    (one) => one.attempt !== attempt || isNotAccepted(one.answer),
  )
  const seen = isAsRead ? loaded : undefined
  const intended = await store.intend(id, attempt, send, pins, seen)
  // rule: only the winner of the intent sends
  if (intended === null) return 1_000 * (0.75 + clock.random() / 2)
  crashPoint('intent-committed')
  // rule: after a restore a video is looked up before a send
  // Postgres was restored: looked up, as a send in doubt, before anything is sent
  if (intentMayBeLost(loaded)) return leastWaitMs
  // rule: nothing is sent after the send window
  if (!mayWrite()) {
    await store.answered(id, attempt, send, 'later', 'send window passed, not sent')
    return leastWaitMs
  }
  return intended
}

async function onAnswer(
  context: SubmitContext,
  loaded: Loaded,
  { send, account }: { send: number; account: SendingAccount },
  answer: CreateAnswer,
): Promise<Again> {
  const { store, log, accounts, clock } = context
  const { id, attempt } = loaded.video
  switch (answer.kind) {
    case 'accepted': {
      const { taskId } = answer
      await recordTask(context, { id, attempt, send, taskId, how: 'answer' }, loaded)
      crashPoint('acceptance-recorded')
      log.debug({ video: id, taskId, attempt }, 'Submitted')
      if (!accounts.isKnownProven(account.id))
        void proveByLookUp(context, account, ownId(id, attempt), taskId)
      return handOver(context, id)
    }
    case 'refused':
      await store.answered(id, attempt, send, 'refused', answer.error.message)
      return fail(context, loaded, answer.error)
    case 'later': {
      await store.answered(id, attempt, send, 'later', answer.reason)
      const ms = answer.retryAfterMs ?? Math.min(30_000, 500 * 2 ** Math.min(send, 7))
      accounts.throttle(account.id, clock.now() + ms)
      return throttle(context, loaded, ms, answer.reason)
    }
    case 'unreadable':
      await store.answered(id, attempt, send, 'unreadable', answer.reason)
      log.error(
        { video: id, attempt, reason: answer.reason },
        'The provider accepted in words unknown to us',
      )
      return 500
    // rule: a lost answer is not taken for a refusal
    case 'unknown':
      log.warn(
        { video: id, attempt, reason: answer.reason },
        'Answer to the create is lost; looking it up',
      )
      return 500
  }
}

const throttle = (context: SubmitContext, loaded: Loaded, ms: number, reason: string) =>
  wait(context, loaded, {
    reason,
    ms: ms + context.clock.random() * Math.max(1_000, ms),
    throttled: true,
  })

/** Waits in the row and by a timer; no longer than to the deadline. */
async function wait(
  { store, publish }: SubmitContext,
  { video, untilDeadlineMs }: Loaded,
  { reason, ms, throttled }: { reason: string; ms: number; throttled: boolean },
): Promise<Again> {
  const waitMs = Math.max(leastWaitMs, Math.min(ms, longestWaitMs))
  const event = await store.wait(video.id, video.attempt, { reason, ms: waitMs, throttled })
  if (event) publish(event)
  return Math.max(leastWaitMs, Math.min(waitMs, untilDeadlineMs ?? Infinity))
}

async function fail(
  { store, log, publish }: SubmitContext,
  { video: { id, attempt } }: Loaded,
  error: VideoError,
): Promise<null> {
  const event = await store.failPending(id, attempt, error)
  if (!event) return null
  log.info({ video: id, code: error.code }, `Video failed: ${error.message}`)
  publish(event)
  return null
}

/** Queues the video for the pollers; repeated, that changes nothing. */
async function handOver({ bus }: SubmitContext, id: string): Promise<null> {
  await publishWork(bus, pollWorkSubject(id), { id })
  return null
}

/** Whether Postgres went back to an older copy since this attempt last intended a send. */
const intentMayBeLost = ({ video, submissions }: Loaded): boolean =>
  video.restoredAt !== null &&
  !submissions.some((one) => one.attempt === video.attempt && one.intentAt > video.restoredAt!)

/** An intent pins provider, base URL and key; a further send of the same attempt uses the same. */
function pinsOf(context: SubmitContext, own: Loaded['config'], earlier?: SendRecord): Pins {
  if (earlier)
    return { provider: earlier.provider, baseUrl: earlier.baseUrl, keyCipher: earlier.keyCipher }
  return { provider: context.provider.name, ...addressAndKey(context, own) }
}
