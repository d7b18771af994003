/** Removes what is kept of accounts at providers that nobody has used for long. */
import { systemClock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Database } from '#libs/store/connect.ts'
import { removeUnusedAccounts } from '#libs/store/unused-accounts.ts'

const intervalMs = 3_600_000
const atOnce = 1_000

export function removeOldAccounts(db: Database, log: Logger): AsyncDisposable {
  const stop = new AbortController()
  const running = every(
    systemClock,
    intervalMs,
    stop.signal,
    async () => {
      while (!stop.signal.aborted && (await removeUnusedAccounts(db, atOnce)) === atOnce);
    },
    (err) => log.warn({ err }, 'unused accounts not removed'),
  )
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
