/** What was paid for is kept: held against everything that happens to finished videos. */
import { createHash } from 'node:crypto'
import type { FileFacts } from '#libs/store/file-records.ts'
import type { VideoRecord } from '#libs/store/submissions.ts'
import type { MemoryFiles, FileRow } from './memory-files.ts'
import type { Hosted, MemoryFileHost } from './memory-file-host.ts'
import type { MemoryFileStore } from './memory-file-store.ts'
import type { MemoryStore } from './memory-store.ts'
import type { World } from './world.ts'

export interface FileLawsOf {
  world: World
  store: MemoryStore
  host: MemoryFileHost
  objects: MemoryFileStore
  breach(law: string): void
}

/** So long with nothing in the way is time enough to warn of a link that dies. */
const timeToWarnMs = 100_000

/** What is put later than that before a file is given up may not have been seen. */
const timeToLookMs = 60_000

export class FileLaws {
  readonly #of: FileLawsOf
  readonly #files: MemoryFiles
  /** Videos whose files were told to be in danger. */
  readonly #warned = new Set<string>()
  /** Milliseconds with nothing in the way while their link lived, by video. */
  readonly #clear = new Map<string, number>()
  readonly #putAt = new Map<string, number>()
  /** Keys that a row named, also one that a restored Postgres has forgotten. */
  readonly #recorded = new Set<string>()

  constructor(of: FileLawsOf) {
    this.#of = of
    const { world, store, host, objects, breach } = of
    this.#files = store.files
    const { onChange } = store
    store.onChange = (video, kind, cause) => {
      onChange(video, kind, cause)
      if (kind === 'stored') this.#onStored(video)
    }
    store.files.onLost = (row) => this.#onLost(row)
    objects.onPut = (key) => {
      world.note(`put ${key}`)
      if (objects.objects.has(key)) breach(`8: ${key} is written a second time`)
      this.#putAt.set(key, world.now)
    }
    objects.onRemove = (key) => {
      world.note(`removed ${key}`)
      if (this.#recorded.has(key)) breach(`8: ${key} was recorded, and is removed`)
    }
    host.onLeak = (to) => breach(`7: the account's key is sent to ${to}`)
  }

  /** An archiver has told how many are in danger. */
  onGauge({ expiringSoon }: { expiringSoon: number }, soonMs: number): void {
    if (expiringSoon === 0) return
    for (const row of this.#waiting())
      if (this.#files.isInDanger(row, soonMs)) this.#warned.add(row.videoId)
  }

  /** Called every `ms`. */
  look(ms: number, isClear: boolean): void {
    if (!isClear) return
    for (const { videoId, url } of this.#waiting())
      if (!this.#of.host.isGone(this.#of.host.under(url)))
        this.#clear.set(videoId, (this.#clear.get(videoId) ?? 0) + ms)
  }

  /** Postgres has gone back: what waits, waits from now on. */
  restored(): void {
    this.#clear.clear()
    this.#warned.clear()
  }

  #waiting(): FileRow[] {
    return [...this.#files.rows.values()].filter(({ state }) => state === 'waiting')
  }

  #onStored({ id }: VideoRecord): void {
    this.#recorded.add(this.#files.rows.get(id)!.key!)
    this.#isWhole(id, 'when it was recorded')
  }

  /** Whether this is the result of one of the video's tasks. */
  #isOf(videoId: string, object: Buffer): boolean {
    const own = [...this.#of.host.hosted.values()].filter((one) => one.videoId === videoId)
    return own.some(({ content }) => object.equals(content))
  }

  /** What is in the store is this video, and what is told of it is so. */
  #isWhole(id: string, when: string): void {
    const { store, objects, breach } = this.#of
    const { key } = store.files.rows.get(id)!
    const object = objects.objects.get(key!)
    const { bytes, sha256 } = store.videos.get(id)!.file as unknown as FileFacts
    if (!object || !this.#isOf(id, object))
      breach(`8: the file ${key} of ${id} is ${object ? 'another' : 'not there'}, ${when}`)
    else if (
      bytes !== object.length ||
      sha256 !== createHash('sha256').update(object).digest('hex')
    )
      breach(`8: what is told of the file of ${id} is not so`)
  }

  /** Completed, and neither stored nor lost, though nothing but time was needed. */
  isOpen({ id, status, videoUrl }: VideoRecord): boolean {
    if (status !== 'completed') return false
    const { host, store } = this.#of
    const row = store.files.rows.get(id)
    const one = host.under(row?.url ?? videoUrl!)
    // its provider goes on giving fresh links to what is no video
    if (one.kind === 'html' && !host.isGone(one)) return false
    return (row?.state ?? 'waiting') === 'waiting'
  }

  #onLost({ videoId, url, lastError, claim }: FileRow): void {
    const { host, world, breach } = this.#of
    const one = host.under(url)
    world.note(`${videoId.slice(0, 8)} lost by claim ${claim}: ${lastError}`)
    if (!lastError) breach(`8: ${videoId} is lost without a reason`)
    const left = this.#leftOf(one)
    if (left) return breach(`8: ${videoId} is given up, and is in the store as ${left}`)
    if (one.kind !== 'video') return
    if (!host.isGone(one))
      return breach(`8: ${videoId} is given up, and can still be had: ${lastError}`)
    if (!this.#warned.has(videoId) && (this.#clear.get(videoId) ?? 0) >= timeToWarnMs)
      breach(`8: ${videoId} is lost, and nobody was told before`)
  }

  /** The key under which its result is, for long enough to be seen. */
  #leftOf({ content }: Hosted): string | undefined {
    const before = this.#of.world.now - timeToLookMs
    return [...this.#of.objects.objects].find(
      ([key, object]) => this.#putAt.get(key)! < before && object.equals(content),
    )?.[0]
  }

  /** With nothing in the way any more. */
  atRest(): void {
    const { store, breach } = this.#of
    for (const video of store.videos.values()) {
      const row = store.files.rows.get(video.id)
      if (this.isOpen(video))
        breach(
          `8: the file of ${video.id} is neither kept nor lost: ${row ? `${row.tries} tries, ${row.lastError}` : 'not queued'}`,
        )
      if (row?.state === 'stored') this.#isWhole(video.id, 'at the end')
    }
  }
}
