/**
 * What the retries of bulk actions cost: each is charged as it is asked for, so that what is
 * refused, aborted or never begun costs nothing.
 */
import { bootMs } from '#libs/runtime/clock.ts'
import type { CommandReply } from '#libs/scene-video/messages.ts'
import { leftOut } from '#libs/store/retry-candidates.ts'
import type { Paid, Pay } from './bulk.ts'
import { retryMicros, wasNotMade } from './commands.ts'
import type { Context } from './context.ts'
import { Problem } from './problem.ts'

const free: Paid = { cost: null, settle: async () => {} }

export function bulkCharges(
  context: Pick<Context, 'budget' | 'prices' | 'reader' | 'retries'>,
): Pay {
  const { budget, prices, reader, retries } = context
  return async ({ action, userId, videoId, attempt }, key) => {
    if (action !== 'retry' || !prices.areKnown) return free
    const [found] = await retries.ofFailed({ userId, ids: [videoId] }, leftOut)
    // its attempt is named: it is not retried any more
    if (found?.attempt !== attempt) return free
    const create = prices.ofCreate(found)
    if (create === null) return free
    const micros = retryMicros(context, found) ?? 0
    const refund = await budget.charge(userId, micros).catch((err: unknown) => {
      if (err instanceof Problem) return err
      throw err
    })
    if (refund instanceof Problem) return { code: refund.code, detail: refund.message }
    const askedAt = bootMs()
    const isMade = async (reply: CommandReply | null | undefined) =>
      reply === undefined
        ? micros === 0 || !(await wasNotMade({ reader }, userId, key, askedAt))
        : reply !== null && reply.ok && !reply.repeated
    const settle: Paid['settle'] = async (reply) => {
      if (!(await isMade(reply)) && micros > 0) await refund(micros)
    }
    return { cost: prices.money(create), settle }
  }
}
