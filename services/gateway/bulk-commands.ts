/**
 * The commands of bulk actions, each under a key of its own. A retry is priced as it is asked for,
 * at the attempt that was meant.
 */
import { BusUnavailable } from '#libs/bus/bus.ts'
import { isForNow } from '#libs/scene-video/refusals.ts'
import type { BulkJob } from '#libs/store/bulk-actions.ts'
import { leftOut } from '#libs/store/retry-candidates.ts'
import type { CarryOut } from './bulk.ts'
import { ask, priceOfRetry } from './commands.ts'
import type { Context } from './context.ts'
import { Problem } from './problem.ts'

type Parts = Pick<Context, 'budget' | 'bus' | 'prices' | 'retries'>

async function priceOf(context: Parts, { action, userId, videoId, attempt }: BulkJob) {
  if (action !== 'retry' || !context.prices.areKnown) return {}
  const [found] = await context.retries.ofFailed({ userId, ids: [videoId] }, leftOut)
  // at another attempt it is not retried any more
  return found?.attempt === attempt ? priceOfRetry(context, found) : {}
}

export function bulkCommands(context: Parts): CarryOut {
  return async (job) => {
    const { action, userId, videoId, attempt, bulkId, by } = job
    const key = { key: `bulk ${bulkId} ${videoId}`, route: 'bulk', bodyHash: '' }
    const order = { userId, by, id: videoId, attempt, idempotencyKey: key }
    try {
      await ask(context, action, { ...order, ...(await priceOf(context, job)) })
      return null
    } catch (err) {
      if (err instanceof BusUnavailable) return undefined
      if (!(err instanceof Problem)) throw err
      // sent again it may be carried out
      return isForNow(err.code) ? undefined : { code: err.code, detail: err.message }
    }
  }
}
