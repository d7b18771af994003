/**
 * Commands to the submit service, and what waits for an Idempotency-Key that is in use. A command
 * that got no answer may have been carried out; sent again under its key, it is carried out once.
 */
import { bootMs, sleep } from '#libs/runtime/clock.ts'
import { NotDelivered } from '#libs/bus/bus.ts'
import {
  commandReplySchema,
  commandSubject,
  commandWaitMs,
  eraseReplySchema,
  type IdempotencyKey,
} from '#libs/scene-video/messages.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Spent } from '#libs/store/spend.ts'
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

/** Takes back so much of what was counted. */
export type Uncount = (n: number) => void
export const nothingCounted: Uncount = () => {}

/**
 * Counts what may be paid for against the user's limits, and looks whether its budget has room.
 * What an earlier request under the same key made is made already: it is answered however full
 * they are. @throws Problem 429 or 402
 */
export async function admit(
  { limits, budget, reader }: Context,
  userId: string,
  { n = 1, micros = 0, spent = null }: { n?: number; micros?: number | null; spent?: Spent | null },
  key?: IdempotencyKey | null,
): Promise<Uncount> {
  let uncount = nothingCounted
  try {
    uncount = await limits.admitCreates(userId, n)
    await budget.require(userId, micros ?? 0, spent)
    return uncount
  } catch (err) {
    uncount(n)
    if (!key || !(await reader.madeUnder(userId, key))) throw err
    return nothingCounted
  }
}

type Body = { idempotencyKey?: IdempotencyKey | null; micros?: number | null } & Record<
  string,
  unknown
>

/**
 * Asks submit, once; `micros` is what it costs. @throws Problem when it is refused, BusUnavailable
 * when submit is away
 */
export async function ask(
  { bus, budget }: Pick<Context, 'bus' | 'budget'>,
  verb: 'generate' | 'retry' | 'cancel',
  { micros = 0, ...body }: Body & { userId: string },
): Promise<{ video: SceneVideo; repeated: boolean }> {
  const whole = { ...body, charge: budget.chargeOf(micros) }
  const reply = commandReplySchema.parse(
    await bus.request(commandSubject[verb], whole, commandWaitMs),
  )
  if (reply.ok) return reply
  throw reply.code === 'budget_exceeded'
    ? await budget.exceeded(body.userId, micros ?? 0)
    : refusal(reply)
}

/**
 * Sends a command of this user; what it may create is counted, unless that was done before
 * (`admitted`). @throws as `ask`, and Problem 429
 */
export async function command(
  context: Context,
  identity: Identity,
  verb: 'generate' | 'retry' | 'cancel',
  body: Body,
  admitted?: Uncount,
): Promise<SceneVideo> {
  const { userId } = identity
  const uncount =
    admitted ??
    (verb === 'cancel' ? nothingCounted : await admit(context, userId, {}, body.idempotencyKey))
  try {
    const { video, repeated } = await waitingForKey(() => {
      leaveTurn()
      return ask(context, verb, { userId, by: actorOf(identity), ...body })
    })
    if (repeated) uncount(1)
    return video
  } catch (err) {
    if (err instanceof Problem || err instanceof NotDelivered) uncount(1)
    throw err
  }
}

/** Erases an ended video. @throws Problem when it has not ended, or is not this user's */
export async function eraseVideo({ bus }: Context, userId: string, id: string): Promise<void> {
  leaveTurn()
  const reply = eraseReplySchema.parse(
    await bus.request(commandSubject.erase, { userId, id }, commandWaitMs),
  )
  if (!reply.ok) throw refusal(reply)
}

type Priced = Pick<Candidate, 'provider' | 'model' | 'seconds' | 'cost'>

/** What a retry costs: nothing where a result is taken or a running task adopted. */
const retryMicros = ({ prices }: Pick<Context, 'prices'>, { cost, ...made }: Priced) =>
  cost === 'late' || cost === 'adopted' ? 0 : prices.ofCreate(made)

/** What a retry of it costs, and what its record says of a create. */
export function priceOfRetry(context: Pick<Context, 'prices'>, found: Priced) {
  const create = context.prices.ofCreate(found)
  const cost = create === null ? null : context.prices.money(create)
  return { cost, micros: retryMicros(context, found) }
}

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
  admitted?: Uncount,
): Promise<SceneVideo> {
  const { prices, reader } = context
  const video = found || !prices.areKnown ? null : await reader.video(identity.userId, body.id)
  const unfailed: Priced | null = video && {
    ...video,
    seconds: video.params.durationSeconds ?? null,
    cost: 'creates',
  }
  const one = found ?? unfailed
  const attempt = body.attempt ?? found?.attempt ?? null
  const price = one ? priceOfRetry(context, one) : {}
  return command(context, identity, 'retry', { ...body, attempt, ...price }, admitted)
}
