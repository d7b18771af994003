/** Uploads that no video has used for a day are deleted, and so are those that never came whole. */
import type { FileStore } from '#libs/files/file-store.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import { uploadKey, type Uploads } from '#libs/store/uploads.ts'

const lookMs = 60_000
const atOnce = 100

export function removeUnusedUploads(parts: {
  uploads: Pick<InterfaceOf<Uploads>, 'unused' | 'forget'>
  files: Pick<FileStore, 'remove'>
  /** Milliseconds. */
  unusedMs: number
  clock: Clock
  log: Logger
}): AsyncDisposable {
  const { uploads, files, unusedMs, clock, log } = parts
  const stop = new AbortController()
  const look = async () => {
    for (let found = atOnce; found === atOnce && !stop.signal.aborted;) {
      const ids = await uploads.unused(unusedMs, atOnce)
      for (const id of ids) await files.remove(uploadKey(id))
      await uploads.forget(ids)
      found = ids.length
      if (found > 0) log.info({ uploads: found }, 'Deleted uploads that nothing used')
    }
  }
  const again = (err: unknown) => log.warn({ err }, 'unused uploads not deleted, trying again')
  const running = every(clock, Math.min(lookMs, unusedMs), stop.signal, look, again, 0)
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
    },
  }
}
