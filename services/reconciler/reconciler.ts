/**
 * What the reconciler does with its parts: a pass at start, one every interval, and one at once
 * when the streams were made anew.
 */
import { streams } from '#libs/bus/topology.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { reconcile, type Found, type ReconcileOptions } from './reconcile.ts'

export interface ReconcilerParts extends Omit<ReconcileOptions, 'first' | 'suspects'> {
  clock: Clock
  intervalMs: number
  count(found: Found): void
}

const lookMs = 2_000

export function runReconciler(parts: ReconcilerParts): AsyncDisposable {
  const { bus, clock, intervalMs, log } = parts
  const stop = new AbortController()
  const suspects = new Map<string, bigint>()
  let generation: number | undefined

  const streamsAreNew = async () => {
    const now = (await bus.stateOf(streams.work)).generation
    const changed = generation !== undefined && now !== generation
    generation = now
    return changed
  }
  const untilDue = async () => {
    const due = clock.now() + intervalMs
    while (!stop.signal.aborted && clock.now() < due) {
      await sleep(Math.min(lookMs, due - clock.now()), stop.signal, clock)
      if (await streamsAreNew().catch(() => false))
        return log.warn('the streams were made anew, looking at everything')
    }
  }
  const run = async () => {
    for (let first = true; !stop.signal.aborted;) {
      try {
        await streamsAreNew()
        const found = await reconcile({ ...parts, first, suspects })
        parts.count(found)
        log.info(found, first ? 'Reconciled at start' : 'Reconciled')
        first = false
      } catch (err) {
        log.warn({ err: (err as Error).message }, 'reconciling failed, trying again soon')
        await sleep(Math.min(lookMs, intervalMs), stop.signal, clock)
        continue
      }
      await untilDue()
    }
  }
  const running = run()
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
