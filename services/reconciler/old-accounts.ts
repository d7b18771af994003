/** Removes what is kept of accounts at providers that nobody has used for long. */
import { systemClock } from '#libs/runtime/clock.ts'
import { repeat } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Database } from '#libs/store/connect.ts'
import { removeUnusedAccounts } from '#libs/store/unused-accounts.ts'

const intervalMs = 3_600_000
const atOnce = 1_000

export function removeOldAccounts(db: Database, log: Logger): AsyncDisposable {
  const onError = (err: unknown) => log.warn({ err }, 'unused accounts not removed')
  return repeat({ clock: systemClock, everyMs: intervalMs, onError }, async (stop) => {
    while (!stop.aborted && (await removeUnusedAccounts(db, atOnce)) === atOnce);
  })
}
