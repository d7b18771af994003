/**
 * One file, from its provider into the store, and what that says of the next try. Repeating it is
 * safe at any point: a file is put under a key of its own for each claim, and recorded only under
 * the newest claim; whoever comes too late removes what he put.
 *
 * A Postgres that was restored from an older copy gives claims out a second time, and the store
 * still has what was put under them.
 */
import { createHash } from 'node:crypto'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { FileStore } from '#libs/files/file-store.ts'
import { NotAVideo, readMediaFacts } from '#libs/files/media.ts'
import type { ClaimedFile, FileFacts } from '#libs/store/file-records.ts'
import { DownloadFailed } from './download.ts'
import type { PreviewMaker } from './previews.ts'

export type Kept =
  | { kind: 'kept'; key: string; facts: FileFacts }
  /** Try again after `delayMs`. */
  | { kind: 'again'; reason: string; delayMs: number }
  | { kind: 'lost'; reason: string }

/** Past its expiry a link that gives no answer at all is tried for so long. */
const triedAfterExpiryMs = 24 * 3_600_000
/** So many claims a restored Postgres may have forgotten: half a day of tries. */
const forgottenClaims = 64
/** What is no video past its link's expiry may be half of one: it is fetched again at first. */
const leastTries = 4

export const keyOf = ({
  id,
  attempt,
  claim,
}: Pick<ClaimedFile, 'id' | 'attempt' | 'claim'>): string => `${id}-${attempt}-${claim}`

interface Parts {
  files: FileStore
  fetch(file: ClaimedFile, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Pictures of what is stored; never throws. */
  previews: PreviewMaker['of']
  random(): number
  signal: AbortSignal
}

/** @throws the signal's reason when it is called off */
export async function keepFile(file: ClaimedFile, parts: Parts): Promise<Kept> {
  const { files, fetch, signal, random } = parts
  try {
    // rule: a key is written once
    if ((await orCalledOff(signal, files.size(keyOf(file)))) !== null) throw new KeyTaken()
    return await keep(file, parts, fetch(file, signal))
  } catch (err) {
    signal.throwIfAborted()
    const kept = afterFailure(file, err, random())
    if (kept.kind !== 'lost') return kept
    try {
      // rule: what is in the store is not given up
      return (await keepLeftover(file, parts)) ?? kept
    } catch (storeErr) {
      signal.throwIfAborted()
      return afterFailure(file, storeErr, random())
    }
  }
}

/** The next claim has a key of its own. */
class KeyTaken extends Error {
  override message = 'the store has a file under this claim: Postgres was restored'
}

/** Puts and looks at it. @throws whatever that failed at; then nothing is under its key */
async function keep(file: ClaimedFile, parts: Parts, body: AsyncIterable<Uint8Array>) {
  const { files, signal } = parts
  const key = keyOf(file)
  const putting = putHashed(files, key, body, signal)
  try {
    // rule: a store that hangs holds no file for good
    const { bytes, sha256 } = await orCalledOff(signal, putting)
    const media = await orCalledOff(signal, readMediaFacts(files, key))
    const previews = await parts.previews(file, key, media, signal)
    crashPoint('file-stored')
    return { kind: 'kept' as const, key, facts: { bytes, sha256, ...media, ...previews } }
  } catch (err) {
    // a put that was called off may still end; a leftover is found by `files verify`
    const removing = putting.catch(() => {}).then(() => files.remove(key))
    await orCalledOff(signal, removing).catch(() => {})
    throw err
  }
}

/**
 * Of an archiver that died after it had stored the file and before it said so, or whose record
 * Postgres has forgotten. Null when there is none. @throws what the store failed at
 */
async function keepLeftover(file: ClaimedFile, parts: Parts): Promise<Kept | null> {
  const { files, signal } = parts
  // rule: what a forgotten claim stored is found
  for (let claim = file.claim + forgottenClaims; claim > 0; claim--) {
    if (claim === file.claim) continue
    const body = await orCalledOff(signal, files.read(keyOf({ ...file, claim })))
    if (body === null) continue
    try {
      return await keep(file, parts, body)
    } catch (err) {
      if (!(err instanceof NotAVideo)) throw err
    }
  }
  return null
}

/** A store that never answers holds nobody for longer than the signal allows. */
export function orCalledOff<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
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
  const bytes = await files.put(key, hashed(), {
    type: 'application/octet-stream',
    signal,
    givesUp: true,
  })
  return { bytes, sha256: hash.digest('hex') }
}

/**
 * What a failure means: a link that has died is gone for good, everything else is tried again.
 * Pure.
 */
export function afterFailure(file: ClaimedFile, err: unknown, random: number): Kept {
  const { tries, untilExpiryMs } = file
  const reason = ((err as Error).message || String(err)).slice(0, 500)
  if (err instanceof DownloadFailed && err.kind === 'never') return { kind: 'lost', reason }
  const saysDead =
    (err instanceof DownloadFailed && err.kind === 'gone') ||
    (err instanceof NotAVideo && tries >= leastTries)
  // rule: a link is dead when it was to die, and not while a fresh one may come
  if (saysDead && untilExpiryMs <= 0 && !file.linkMayCome) return { kind: 'lost', reason }
  // rule: what the store failed at says nothing of the link
  const isOfLink = err instanceof DownloadFailed || err instanceof NotAVideo
  if (isOfLink && untilExpiryMs < -triedAfterExpiryMs) return { kind: 'lost', reason }
  const asked = err instanceof DownloadFailed ? err.retryAfterMs : null
  const delayMs = beforeDeath(asked ?? backoffMs(tries, random), untilExpiryMs)
  return { kind: 'again', reason, delayMs }
}

/** From 2 s to 10 min. */
function backoffMs(tries: number, random: number): number {
  return Math.min(600_000, 2_000 * 2 ** Math.min(tries - 1, 10)) * (0.75 + random / 2)
}

/** Never so long that a link dies meanwhile, also where its server asks for it. */
function beforeDeath(delayMs: number, untilExpiryMs: number): number {
  // rule: a link that dies is not waited for beyond its death
  return untilExpiryMs > 0 ? Math.max(1_000, Math.min(delayMs, untilExpiryMs / 4)) : delayMs
}
