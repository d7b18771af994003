import { sleep, type Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { ClaimedFile, FileRecords } from '#libs/store/file-records.ts'
import type { Kept } from './keep-file.ts'

const againMs = 1_000

/**
 * Records what is in the store, as often as it takes: its link may be dead by the next try. `late`
 * when the claim is not the newest any more; `unsure` when that, or an earlier try of ours was
 * carried out after all. @throws what Postgres failed at, when it is called off
 */
export async function recordStored(
  { records, clock, log }: { records: InterfaceOf<FileRecords>; clock: Clock; log: Logger },
  { id, claim }: ClaimedFile,
  { key, facts }: Extract<Kept, { kind: 'kept' }>,
  called: AbortSignal,
): Promise<OwedEvent | 'late' | 'unsure'> {
  for (let tries = 1; ; tries++)
    try {
      const event = await records.stored(id, claim, key, facts)
      // rule: a file that may be recorded is not removed
      return event ?? (tries > 1 ? 'unsure' : 'late')
    } catch (err) {
      // rule: a stored file is recorded as often as it takes
      if (called.aborted) throw err
      log.warn({ err, video: id }, 'a stored file is not recorded, trying again')
      await sleep(againMs, called, clock)
    }
}
