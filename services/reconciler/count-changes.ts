/** Adds up the noted changes of counts, so that few have to be read beside the sums. */
import { systemClock } from '#libs/runtime/clock.ts'
import { repeat } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Database } from '#libs/store/connect.ts'
import { addUpCounts } from '#libs/store/video-counts.ts'

const intervalMs = 10_000
const atOnce = 5_000

export function addUpChanges(db: Database, log: Logger): AsyncDisposable {
  const onError = (err: unknown) => log.warn({ err }, 'changes of counts not added up')
  return repeat({ clock: systemClock, everyMs: intervalMs, onError }, async (stop) => {
    while (!stop.aborted && (await addUpCounts(db, atOnce)) === atOnce);
  })
}
