/**
 * Commands to the submit service, and what waits for an Idempotency-Key that is in use. A command
 * that got no answer may have been carried out; sent again under its key, it is carried out once.
 */
import { bootMs, sleep } from '#libs/runtime/clock.ts'
import {
  commandReplySchema,
  commandSubject,
  eraseReplySchema,
  type IdempotencyKey,
} from '#libs/scene-video/messages.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Context } from './context.ts'
import { actorOf, type Identity } from './identity.ts'
import { Problem, refusal } from './problem.ts'

const timeoutMs = 10_000
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
      await sleep(lookMs)
    }
  }
}

/** Takes back so much of what was counted. */
type TakeBack = (n: number) => void

/**
 * Counts what may be paid for against the user's limits. What an earlier request under the same key
 * made is made already: it is answered however full the limits are. @throws Problem 429
 */
export async function admit(
  { limits, reader }: Context,
  userId: string,
  n: number,
  key?: IdempotencyKey | null,
): Promise<TakeBack> {
  try {
    return await limits.admitCreates(userId, n)
  } catch (err) {
    if (!key || !(await reader.madeUnder(userId, key))) throw err
    return () => {}
  }
}

/**
 * Sends a command of this user; what it may create is counted against the user's limits, unless
 * that was done before (`admitted`). @throws Problem when it is refused, BusUnavailable when submit
 * is away
 */
export async function command(
  context: Context,
  identity: Identity,
  verb: 'generate' | 'retry' | 'cancel',
  body: { idempotencyKey?: IdempotencyKey | null } & Record<string, unknown>,
  admitted?: TakeBack,
): Promise<SceneVideo> {
  const { userId } = identity
  const takeBack =
    admitted ??
    (verb === 'cancel' ? () => {} : await admit(context, userId, 1, body.idempotencyKey))
  return waitingForKey(async () => {
    const whole = { userId, by: actorOf(identity), ...body }
    const reply = commandReplySchema.parse(
      await context.bus.request(commandSubject[verb], whole, timeoutMs),
    )
    if (!reply.ok) throw refusal(reply)
    if (reply.repeated) takeBack(1)
    return reply.video
  }).catch((err: unknown) => {
    if (err instanceof Problem) takeBack(1)
    throw err
  })
}

/** Erases an ended video. @throws Problem when it has not ended, or is not this user's */
export async function eraseVideo({ bus }: Context, userId: string, id: string): Promise<void> {
  const reply = eraseReplySchema.parse(
    await bus.request(commandSubject.erase, { userId, id }, timeoutMs),
  )
  if (!reply.ok) throw refusal(reply)
}
