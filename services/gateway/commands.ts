/**
 * Commands to the submit service, and what waits for an Idempotency-Key that is in use. A command
 * that got no answer may have been carried out; sent again under its key, it is carried out once.
 */
import { bootMs, sleep } from '#libs/runtime/clock.ts'
import { NotDelivered } from '#libs/bus/bus.ts'
import { v7 } from '#libs/runtime/uuid.ts'
import {
  commandReplySchema,
  commandSubject,
  commandWaitMs,
  eraseReplySchema,
  type IdempotencyKey,
} from '#libs/scene-video/messages.ts'
import { requireRetry } from '#libs/scene-video/decisions.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Candidate } from '#libs/store/retry-candidates.ts'
import type { Context } from './context.ts'
import { actorOf, type Identity } from './identity.ts'
import { sumOf } from './prices.ts'
import { Problem, refusal } from './problem.ts'
import { leaveTurn } from './turns.ts'

/** How long the second request under a key waits for the first, and how often it looks. */
const waitForKeyMs = 2_000
const lookMs = 100

const isInUse = (err: unknown) =>
  (err instanceof Problem || err instanceof Refused) && err.code === 'idempotency_key_in_use'

/** Tries again while the first request under the same key is running, for up to 2 s. */
export async function waitingForKey<T>(act: () => Promise<T>): Promise<T> {
  const began = bootMs()
  for (;;) {
    try {
      return await act()
    } catch (err) {
      if (!isInUse(err) || bootMs() - began > waitForKeyMs - lookMs) throw err
      leaveTurn()
      await sleep(lookMs)
    }
  }
}

/** Takes back so much of what was counted and charged. */
export type TakeBack = (one: Admission) => Promise<void>
/** So many creates, and what they cost together as far as is known. */
interface Admission {
  n: number
  micros: number
}
const nothing: TakeBack = async () => {}

/**
 * Counts what may be paid for against the user's limits, and charges its budget. What an earlier
 * request under the same key made is made already: it is answered however full the limits are.
 * @throws Problem 429 or 402
 */
export async function admit(
  context: Context,
  userId: string,
  { n, micros }: Admission,
  key?: IdempotencyKey | null,
): Promise<TakeBack> {
  // a repeat that gets no answer either must not be taken for what was made
  if (key && micros > 0 && (await context.reader.madeUnder(userId, key))) return nothing
  try {
    return await admitted(context, userId, { n, micros })
  } catch (err) {
    if (!key || !(await context.reader.madeUnder(userId, key))) throw err
    return nothing
  }
}

async function admitted({ limits, budget }: Context, userId: string, { n, micros }: Admission) {
  const uncount = await limits.admitCreates(userId, n)
  try {
    const refund = await budget.charge(userId, micros)
    return async (back: Admission) => {
      uncount(back.n)
      if (back.micros > 0) await refund(back.micros)
    }
  } catch (err) {
    uncount(n)
    throw err
  }
}

/** So that it can be told later what became of a command that was charged and got no answer. */
const keyOfCharge = (micros: number): IdempotencyKey | null =>
  micros > 0 ? { key: v7(), route: 'charged', bodyHash: '' } : null

/**
 * Of a command without an answer. Submit commits nothing after its time: once that is over, it is
 * seen what was made.
 */
export async function wasNotMade(
  { reader }: Pick<Context, 'reader'>,
  userId: string,
  key: IdempotencyKey | null,
  askedAt: number,
): Promise<boolean> {
  if (!key) return false
  await sleep(Math.max(0, askedAt + commandWaitMs - bootMs()))
  return (await reader.madeUnder(userId, key)) === null
}

/**
 * Sends a command of this user; what it may create is counted and charged, unless that was done
 * before (`admitted`). @throws Problem when it is refused, BusUnavailable when submit
 * is away
 */
export async function command(
  context: Context,
  identity: Identity,
  verb: 'generate' | 'retry' | 'cancel',
  body: { idempotencyKey?: IdempotencyKey | null } & Record<string, unknown>,
  paid: { micros?: number | null; admitted?: TakeBack } = {},
): Promise<SceneVideo> {
  const { userId } = identity
  const one = { n: 1, micros: paid.micros ?? 0 }
  const takeBack =
    paid.admitted ??
    (verb === 'cancel' ? nothing : await admit(context, userId, one, body.idempotencyKey))
  const key = body.idempotencyKey ?? keyOfCharge(one.micros)
  let askedAt = bootMs()
  return waitingForKey(async () => {
    const whole = { userId, by: actorOf(identity), ...body, idempotencyKey: key }
    leaveTurn()
    askedAt = bootMs()
    const reply = commandReplySchema.parse(
      await context.bus.request(commandSubject[verb], whole, commandWaitMs),
    )
    if (!reply.ok) throw refusal(reply)
    if (reply.repeated) await takeBack(one)
    return reply.video
  }).catch(async (err: unknown) => {
    const isLeft = err instanceof Problem || err instanceof NotDelivered
    const isUndecided = !isLeft && one.micros > 0
    if (isLeft || (isUndecided && (await wasNotMade(context, userId, key, askedAt))))
      await takeBack(one)
    throw err
  })
}

/** Erases an ended video. @throws Problem when it has not ended, or is not this user's */
export async function eraseVideo({ bus }: Context, userId: string, id: string): Promise<void> {
  leaveTurn()
  const reply = eraseReplySchema.parse(
    await bus.request(commandSubject.erase, { userId, id }, commandWaitMs),
  )
  if (!reply.ok) throw refusal(reply)
}

/** What a retry costs: nothing where a result is taken or a running task adopted. */
export const retryMicros = (
  { prices }: Pick<Context, 'prices'>,
  { cost, ...made }: Candidate,
): number | null => (cost === 'late' || cost === 'adopted' ? 0 : prices.ofCreate(made))

export const priceOfRetries = (context: Context, some: readonly Candidate[]) =>
  sumOf(
    context.prices,
    some
      .filter((one) => one.cost === 'creates' || one.cost === 'waiting')
      .map((one) => retryMicros(context, one)),
  )

/**
 * Retries a video whose price is known from how it is `found`, at the attempt it was found at;
 * admitted before, or now. One that was not found, since it has not failed yet, is priced as anew.
 */
export async function retryAsPriced(
  context: Context,
  identity: Identity,
  body: { id: string; attempt: number | null; idempotencyKey: IdempotencyKey | null },
  found: Candidate | undefined,
  admitted?: TakeBack,
): Promise<SceneVideo> {
  const { prices, reader } = context
  const video = found || !prices.areKnown ? null : await reader.video(identity.userId, body.id)
  const create = found
    ? prices.ofCreate(found)
    : video && prices.ofCreate({ ...video, seconds: video.params.durationSeconds })
  const cost = create === null ? null : prices.money(create)
  const micros = found ? retryMicros(context, found) : create
  const attempt = body.attempt ?? found?.attempt ?? null
  const paid = { micros, ...(admitted ? { admitted } : {}) }
  return command(context, identity, 'retry', { ...body, attempt, cost }, paid).catch(
    (err: unknown) => {
      // it costs nothing to be told that it cannot be retried
      if (video && err instanceof Problem && err.status === 402) requireRetry(video, body.attempt)
      throw err
    },
  )
}
