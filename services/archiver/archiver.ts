/**
 * What the archiver does with its parts: it looks every second, and more rarely while there are
 * none, for completed videos whose file is not kept, claims some, fetches each, and records what
 * became of it. Claims are renewed while a fetch runs, and a fetch whose claim is lost is called
 * off.
 *
 * Slots are shared between users (slots.ts). Nothing here can fail, delay or repeat a generation.
 */
import { removeFile, type FileStore } from '#libs/files/file-store.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { every, Looks } from '#libs/runtime/every.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { FileRemoval } from '#libs/store/file-removal.ts'
import type { ClaimedFile, FileRecords } from '#libs/store/file-records.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import { DownloadFailed } from './download.ts'
import { Slots } from './slots.ts'
import { afterFailure, keepFile, keyOf, orCalledOff, type Kept } from './keep-file.ts'
import type { PreviewMaker } from './previews.ts'
import { recordStored } from './record-stored.ts'

export interface ArchiverParts {
  clock: Clock
  log: Logger
  files: FileStore
  records: InterfaceOf<FileRecords>
  removal: Pick<InterfaceOf<FileRemoval>, 'removing' | 'removed'>
  fetch(file: ClaimedFile, signal: AbortSignal): AsyncIterable<Uint8Array>
  previews: PreviewMaker['of']
  /** Publishes a committed event; never throws, an unpublished one stays owed. */
  publish(event: OwedEvent): Promise<void>
  concurrency: number
  /** The longest that one fetch may take. */
  timeoutMs: number
  count(outcome: Kept['kind'] | 'late'): void
  gauge(state: { waiting: number; expiringSoon: number; running: number }): void
}

const lookMs = 1_000
/** While there is nothing to keep or to remove; an event of a completed video ends that. */
const idleMs = 15_000
const leaseMs = 30_000
const renewMs = 8_000
const gaugeMs = 15_000
const removeMs = 3_000
export const expiringSoonMs = 3_600_000

export class Archiver implements AsyncDisposable {
  readonly #parts: ArchiverParts
  readonly #stop = new AbortController()
  readonly #slots: Slots
  readonly #loops: Promise<void>[]
  readonly #looks: Looks
  readonly #removing: Looks
  #isLooking = false
  #looking: Promise<unknown> = Promise.resolve()
  /** Files wait for their next try, here or at an archiver that may have died. */
  #isWaiting = false
  /** As the last look left it: the slots were full. */
  #mayBeMore = false

  constructor(parts: ArchiverParts) {
    this.#parts = parts
    const { clock, log, concurrency } = parts
    const { signal } = this.#stop
    this.#slots = new Slots(clock, concurrency)
    const again = (err: unknown) => log.warn({ err }, 'archiver: trying again')
    this.#loops = [
      every(clock, renewMs, signal, () => this.#renew(), again),
      every(clock, gaugeMs, signal, () => this.#measure(), again, 0),
    ]
    const often = { clock, everyMs: lookMs, idleMs, firstMs: 0, onError: again }
    this.#looks = new Looks(often, async () => {
      await this.#lookOnce()
      // rule: a file that waits for its next try is looked for often
      return this.#slots.size > 0 || this.#isWaiting
    })
    const less = { ...often, everyMs: removeMs, firstMs: removeMs }
    this.#removing = new Looks(less, () => this.#remove())
  }

  /** A video was completed. */
  wake(): void {
    this.#looks.wake()
  }

  get running(): number {
    return this.#slots.size
  }

  /** One look at a time; a slot that is freed meanwhile is looked for again. */
  async #lookOnce(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      await this.#look()
    } finally {
      this.#isLooking = false
    }
  }

  async #look(): Promise<void> {
    const { records } = this.#parts
    const { perUser } = this.#slots
    for (;;) {
      await records.adopt()
      const left = this.#slots.left()
      if (left <= 0 || this.#stop.signal.aborted) return
      const claimed = await records.claim({
        most: Math.min(left, perUser),
        perUser,
        running: this.#slots.byUser(),
        silentHosts: this.#slots.silentHosts(),
        leaseMs,
      })
      for (const file of claimed) this.#begin(file)
      this.#mayBeMore = claimed.length > 0
      if (!this.#mayBeMore) return
    }
  }

  #begin(file: ClaimedFile): void {
    const stop = new AbortController()
    const done = this.#keep(file, stop.signal)
      .catch((err: unknown) => this.#parts.log.warn({ err, video: file.id }, 'file not recorded'))
      .finally(() => this.#freed(file))
    this.#slots.add({ file, stop, done })
  }

  /** Many small files in a row do not wait a look's interval each. */
  #freed(file: ClaimedFile): void {
    const wasFull = this.#slots.free(file)
    if ((!this.#mayBeMore && !wasFull) || this.#stop.signal.aborted) return
    const looking = this.#lookOnce().catch((err: unknown) =>
      this.#parts.log.warn({ err }, 'archiver: looking again soon'),
    )
    this.#looking = Promise.all([this.#looking, looking])
  }

  async #keep(file: ClaimedFile, called: AbortSignal): Promise<void> {
    const { files, previews, records, clock, timeoutMs, count } = this.#parts
    const fetch: ArchiverParts['fetch'] = (...asked) =>
      this.#slots.watched(file, this.#parts.fetch(...asked))
    const { random } = clock
    const timeout = new AbortController()
    const cancel = clock.after(timeoutMs, () =>
      timeout.abort(new DownloadFailed('later', `not fetched within ${timeoutMs} ms`)),
    )
    const signal = AbortSignal.any([called, timeout.signal])
    try {
      const kept = await keepFile(file, { files, fetch, previews, random, signal })
      await this.#record(file, kept, called)
    } catch (err) {
      if (called.aborted) {
        count('late')
        // whoever looks next may have it at once
        return await records.failed(file.id, file.claim, 'its archiver was stopped', 0)
      }
      await this.#record(file, afterFailure(file, err, random()), called)
    } finally {
      cancel()
    }
  }

  async #record(file: ClaimedFile, kept: Kept, called: AbortSignal): Promise<void> {
    const { records, files, log, publish, count } = this.#parts
    const { id, claim } = file
    if (kept.kind === 'again') {
      this.#isWaiting = true
      await records.failed(id, claim, kept.reason, kept.delayMs)
      const { tries, untilExpiryMs } = file
      log.warn({ video: id, tries, untilExpiryMs, reason: kept.reason }, 'File not fetched')
    } else if (kept.kind === 'lost') {
      if (!(await records.lost(id, claim, kept.reason))) return count('late')
      log.error({ video: id, reason: kept.reason }, `The file of ${id} is lost`)
    } else {
      const event = await recordStored(this.#parts, file, kept, called)
      if (event === 'late') await orCalledOff(called, removeFile(files, keyOf(file)))
      if (event === 'late' || event === 'unsure') return count('late')
      crashPoint('file-recorded')
      log.info({ video: id, bytes: kept.facts.bytes }, `Stored the file of ${id}`)
      await publish(event)
    }
    count(kept.kind)
  }

  async #renew(): Promise<void> {
    const held = this.#slots.all().map(({ file: { id, claim } }) => ({ id, claim }))
    if (held.length === 0) return
    const still = new Set(await this.#parts.records.renew(held, leaseMs))
    // rule: a fetch whose claim is lost is called off
    for (const { id } of held)
      if (!still.has(id)) this.#slots.get(id)?.stop.abort(new Error('the claim is lost'))
  }

  /** Whether there was any. Removing an object twice does no harm. */
  async #remove(): Promise<boolean> {
    const { removal, files, log } = this.#parts
    const some = await removal.removing(100)
    for (const { key } of some) await removeFile(files, key)
    if (some.length === 0) return false
    await removal.removed(some.map(({ videoId }) => videoId))
    log.info({ files: some.length }, 'Removed files')
    return true
  }

  async #measure(): Promise<void> {
    const { records, gauge, log } = this.#parts
    const found = await records.waiting(expiringSoonMs)
    gauge({ ...found, running: this.#slots.size })
    this.#isWaiting = found.waiting > 0
    if (this.#isWaiting) this.#looks.wake()
    if (found.expiringSoon)
      log.error(
        { count: found.expiringSoon },
        'Files in danger: their links die soon, or they have failed for hours',
      )
  }

  /** Calls off what runs: whoever claims it next begins anew. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    const callOff = () => {
      for (const { stop } of this.#slots.all()) stop.abort(new Error('stopping'))
    }
    callOff()
    const looks = [this.#looks, this.#removing].map((one) => one[Symbol.asyncDispose]())
    await Promise.all([...this.#loops, ...looks, this.#looking])
    callOff() // what a look had just claimed
    await Promise.all(this.#slots.all().map(({ done }) => done))
  }
}
