/**
 * One file, from its provider into the store, and what that says of the next try. Repeating it is
 * safe at any point: a file is put under a key of its own for each claim, and recorded only under
 * the newest claim; whoever comes too late removes what he put.
 */
import { createHash } from 'node:crypto'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { StoreFull, type FileStore } from '#libs/files/file-store.ts'
import { NotAVideo, readMediaFacts } from '#libs/files/media.ts'
import type { ClaimedFile, FileFacts } from '#libs/store/file-records.ts'
import { DownloadFailed } from './download.ts'
import type { PreviewMaker } from './previews.ts'

export type Kept =
  | { kind: 'kept'; key: string; facts: FileFacts }
  /** Try again after `delayMs`. */
  | { kind: 'again'; reason: string; delayMs: number }
  | { kind: 'lost'; reason: string }

/** A provider's link is believed dead only after it has been refused for this long. */
const believedDeadAfterMs = 30 * 60_000
/** Past its expiry a link that gives no answer at all is tried for so long. */
const triedAfterExpiryMs = 24 * 3_600_000
const leastTries = 4

export const keyOf = ({
  id,
  attempt,
  claim,
}: Pick<ClaimedFile, 'id' | 'attempt' | 'claim'>): string => `${id}-${attempt}-${claim}`

/** @throws the signal's reason when it is called off */
export async function keepFile(
  file: ClaimedFile,
  parts: {
    files: FileStore
    fetch(file: ClaimedFile, signal: AbortSignal): AsyncIterable<Uint8Array>
    /** Pictures of what is stored; never throws. */
    previews: PreviewMaker['of']
    random(): number
    signal: AbortSignal
  },
): Promise<Kept> {
  const { files, signal } = parts
  const key = keyOf(file)
  try {
    const { bytes, sha256 } = await putHashed(files, key, parts.fetch(file, signal), signal)
    const media = await orCalledOff(signal, readMediaFacts(files, key))
    const previews = await parts.previews(file, key, media, signal)
    crashPoint('file-stored')
    return { kind: 'kept', key, facts: { bytes, sha256, ...media, ...previews } }
  } catch (err) {
    await files.remove(key).catch(() => {}) // a leftover is found by `files verify`
    signal.throwIfAborted()
    return afterFailure(file, err, parts.random())
  }
}

/** A store that never answers holds nobody for longer than the signal allows. */
function orCalledOff<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason as Error)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', stop))
}

async function putHashed(
  files: FileStore,
  key: string,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  const hashed = async function* () {
    for await (const chunk of body) {
      hash.update(chunk)
      yield chunk
    }
  }
  const bytes = await files.put(key, hashed(), { type: 'application/octet-stream', signal })
  return { bytes, sha256: hash.digest('hex') }
}

/**
 * What a failure means: a link that has died is gone for good, everything else is tried again.
 * Pure.
 */
export function afterFailure(file: ClaimedFile, err: unknown, random: number): Kept {
  const { tries, sinceAdoptedMs } = file
  const untilExpiryMs = file.untilExpiryMs ?? Infinity
  const reason = ((err as Error).message || String(err)).slice(0, 500)
  const isDead =
    untilExpiryMs <= 0 || (tries >= leastTries && sinceAdoptedMs >= believedDeadAfterMs)
  if (err instanceof DownloadFailed && err.kind === 'never') return { kind: 'lost', reason }
  if (err instanceof DownloadFailed && err.kind === 'gone' && isDead)
    return { kind: 'lost', reason }
  if (err instanceof NotAVideo && isDead && tries >= leastTries) return { kind: 'lost', reason }
  if (untilExpiryMs < -triedAfterExpiryMs && !(err instanceof StoreFull))
    return { kind: 'lost', reason }
  const asked = err instanceof DownloadFailed ? err.retryAfterMs : null
  return { kind: 'again', reason, delayMs: asked ?? backoffMs(tries, untilExpiryMs, random) }
}

/** From 2 s to 10 min, but never so long that a link dies meanwhile. */
function backoffMs(tries: number, untilExpiryMs: number, random: number): number {
  const grown = Math.min(600_000, 2_000 * 2 ** Math.min(tries - 1, 10)) * (0.75 + random / 2)
  return untilExpiryMs > 0 ? Math.max(1_000, Math.min(grown, untilExpiryMs / 4)) : grown
}
