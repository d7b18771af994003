/**
 * What the reconciler does with its parts: a pass at start, one every interval, one at once when
 * the streams were made anew, and one soon after a reconnect, since a server that lost its power
 * may have lost the newest work.
 */
import { streams } from '#libs/bus/streams.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { Looks } from '#libs/runtime/every.ts'
import { reconcile, type Found, type ReconcileOptions } from './reconcile.ts'
import { tellPromises } from './tell-promises.ts'

export interface ReconcilerParts extends Omit<
  ReconcileOptions,
  'first' | 'suspects' | 'forgotten'
> {
  clock: Clock
  intervalMs: number
  count(found: Found): void
}

const lookMs = 2_000
/** While the connection stands and no pass is near. */
const idleMs = 10_000
/** After a reconnect, so that the other services have theirs, too. */
const settleMs = 5_000
/** A cancel or a deadline whose message was lost is carried out about this much later. */
const tellMs = 3_000
/** While no video is in hand. */
const tellIdleMs = idleMs

export function runReconciler(parts: ReconcilerParts): AsyncDisposable {
  const { bus, clock, intervalMs, log } = parts
  const suspects = new Map<string, bigint>()
  const forgotten = { after: 0n }
  let generation: number | undefined
  let first = true
  let dueAt = -Infinity

  const streamsAreNew = async () => {
    const now = (await bus.stateOf(streams.work)).generation
    const changed = generation !== undefined && now !== generation
    generation = now
    return changed
  }
  /** One pass, when it is due or the streams were made anew. */
  const look = async () => {
    if (await streamsAreNew().catch(() => false)) {
      log.warn('the streams were made anew, looking at everything')
      dueAt = -Infinity
    }
    if (clock.now() < dueAt) return dueAt - clock.now() < idleMs
    dueAt = Infinity
    try {
      const found = await reconcile({ ...parts, first, suspects, forgotten })
      parts.count(found)
      log.info(found, first ? 'Reconciled at start' : 'Reconciled')
      first = false
      // sooner, after a reconnect meanwhile
      dueAt = Math.min(dueAt, clock.now() + intervalMs)
      return true
    } catch (err) {
      dueAt = -Infinity
      throw err
    }
  }
  const again = (err: unknown) => log.warn({ err }, 'reconciling failed, trying again soon')
  const everyMs = Math.min(lookMs, intervalMs)
  const looking = new Looks({ clock, everyMs, idleMs, firstMs: 0, onError: again }, look)
  // rule: after a reconnect the reconciler looks for lost work
  bus.onReconnect(() => {
    dueAt = Math.min(dueAt, clock.now() + settleMs)
    looking.wake()
  })
  const onError = (err: unknown) => log.warn({ err }, 'owners not told of what was promised')
  const often = { clock, everyMs: tellMs, idleMs: tellIdleMs, onError }
  const telling = new Looks(often, () => tellPromises(bus, parts.recovery))
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all([looking, telling].map((one) => one[Symbol.asyncDispose]()))
    },
  }
}
