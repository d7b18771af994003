/**
 * Retention: files that were kept for longer than FILE_DAYS are marked for removal, oldest first;
 * the archiver removes them. What is to be deleted is logged before it is.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { FileRemoval } from '#libs/store/file-removal.ts'

const lookMs = 60_000
const atOnce = 1_000

export function removeOldFiles(
  files: Pick<InterfaceOf<FileRemoval>, 'outdated' | 'expire'>,
  { days, clock, log }: { days: number; clock: Clock; log: Logger },
): AsyncDisposable {
  const stop = new AbortController()
  const look = async () => {
    const outdated = await files.outdated(days)
    if (outdated.files === 0) return
    log.info({ ...outdated, days }, 'Deleting files that were kept long enough')
    while (!stop.signal.aborted && (await files.expire(days, atOnce)) === atOnce);
  }
  const running = every(
    clock,
    lookMs,
    stop.signal,
    look,
    (err) => log.warn({ err }, 'old files not deleted, trying again soon'),
    0,
  )
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
