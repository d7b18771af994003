/**
 * Retention: files that were kept for longer than FILE_DAYS, and what projects keep beyond limits
 * of their own, are marked for removal, oldest first; the archiver removes them. What is to be
 * deleted is logged before it is.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { repeat, type Repeated } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { FileRemoval } from '#libs/store/file-removal.ts'
import type { FileRetention } from '#libs/store/file-retention.ts'

const lookMs = 60_000
/** Each look, and each batch of it, reads all files of the projects that have limits. */
const projectsMs = 300_000
const atOnceOfProjects = 10_000
const atOnce = 1_000

export function removeOldFiles(
  files: Pick<InterfaceOf<FileRemoval>, 'outdated' | 'expire'>,
  { days, clock, log }: { days: number; clock: Clock; log: Logger },
): AsyncDisposable {
  const look = async (stop: AbortSignal) => {
    const outdated = await files.outdated(days)
    if (outdated.files === 0) return
    log.info({ ...outdated, days }, 'Deleting files that were kept long enough')
    while (!stop.aborted && (await files.expire(days, atOnce)) === atOnce);
  }
  return repeat(repeated(clock, log, lookMs), look)
}

/** Of projects that have limits. */
export function keepToProjectLimits(
  files: InterfaceOf<FileRetention>,
  { clock, log }: { clock: Clock; log: Logger },
): AsyncDisposable {
  return repeat(repeated(clock, log, projectsMs), async (stop) => {
    const excess = await files.excess()
    for (const one of excess) log.info(one, 'Deleting files beyond the limits of their project')
    if (excess.length === 0) return
    while (!stop.aborted && (await files.expire(atOnceOfProjects)) === atOnceOfProjects);
  })
}

const repeated = (clock: Clock, log: Logger, everyMs: number): Repeated => ({
  clock,
  everyMs,
  firstMs: 0,
  onError: (err) => log.warn({ err }, 'old files not deleted, trying again soon'),
})
