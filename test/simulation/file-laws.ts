/** What was paid for is kept: held against everything that happens to finished videos. */
import { createHash } from 'node:crypto'
import { streams } from '#libs/bus/streams.ts'
import { eventSubject, type VideoEvent } from '#libs/scene-video/messages.ts'
import type { FileFacts } from '#libs/store/file-records.ts'
import type { VideoRecord } from '#libs/store/submissions.ts'
import { BrokenLaw } from './laws.ts'
import type { Broker } from './memory-broker.ts'
import type { FileRow } from './memory-files.ts'
import type { MemoryFileHost } from './memory-file-host.ts'
import type { MemoryFileStore } from './memory-file-store.ts'
import type { MemoryStore } from './memory-store.ts'
import type { World } from './world.ts'

export interface FileLawsOf {
  world: World
  broker: Broker
  store: MemoryStore
  host: MemoryFileHost
  objects: MemoryFileStore
}

/** So long without trouble is time enough to warn of a link that dies. */
const timeToWarnMs = 180_000

/** What is put later than that before a file is given up may not have been seen. */
const timeToLookMs = 60_000

export class FileLaws {
  readonly #of: FileLawsOf
  readonly #last = new Map<string, { version: number; attempt: number }>()
  readonly #warned = new Set<string>()
  readonly #putAt = new Map<string, number>()
  /** From when to when something was away. */
  readonly #troubles: [number, number][] = []
  broken: BrokenLaw | undefined

  constructor(of: FileLawsOf) {
    this.#of = of
    const { store, host } = of
    store.onChange = (video, kind) => this.#onChange(video, kind)
    store.files.onLost = (row) => this.#onLost(row)
    of.objects.onPut = (key) => {
      of.world.note(`put ${key}`)
      this.#putAt.set(key, of.world.now)
    }
    host.onLeak = (to) => this.breach(`7: the account's key is sent to ${to}`)
  }

  breach(law: string): void {
    this.#of.world.note(`BROKEN LAW ${law}`)
    this.broken ??= new BrokenLaw(law)
  }

  troubled(ms: number): void {
    const { now } = this.#of.world
    this.#troubles.push([now, now + ms])
  }

  /** An archiver has told how many are in danger. */
  onGauge({ expiringSoon }: { expiringSoon: number }, soonMs: number): void {
    if (expiringSoon === 0) return
    const { files } = this.#of.store
    for (const row of files.rows.values())
      if (row.state === 'waiting' && files.isInDanger(row, soonMs)) this.#warned.add(row.videoId)
  }

  #onChange(video: VideoRecord, kind: string): void {
    const { id, version, attempt, status, phase } = video
    this.#of.world.note(`${id.slice(0, 8)} ${kind} v${version}`)
    const before = this.#last.get(id)
    this.#last.set(id, { version, attempt })
    if (!before) return
    if (kind !== 'stored' || status !== 'completed' || phase !== 'stored')
      this.breach(`8: ${id} is changed (${kind}) to ${status}, ${phase} after it was completed`)
    if (version !== before.version + 1 || attempt !== before.attempt)
      this.breach(`3: ${id} goes from version ${before.version} to ${version}`)
    this.#isWhole(id, 'when it was recorded')
  }

  /** What is in the store is this video, and what is told of it is so. */
  #isWhole(id: string, when: string): void {
    const { store, host, objects } = this.#of
    const { key } = store.files.rows.get(id)!
    const object = objects.objects.get(key!)
    const { bytes, sha256 } = store.videos.get(id)!.file as unknown as FileFacts
    if (!object?.equals(host.hosted.get(id)!.content))
      this.breach(`8: the file ${key} of ${id} is ${object ? 'another' : 'not there'}, ${when}`)
    else if (
      bytes !== object.length ||
      sha256 !== createHash('sha256').update(object).digest('hex')
    )
      this.breach(`8: what is told of the file of ${id} is not so`)
  }

  /** Neither stored nor lost, though nothing but time was needed. */
  isOpen(id: string): boolean {
    const { host, store } = this.#of
    const one = host.hosted.get(id)!
    // its provider goes on giving fresh links to what is no video
    if (one.kind === 'html' && !host.isGone(one)) return false
    return (store.files.rows.get(id)?.state ?? 'waiting') === 'waiting'
  }

  #onLost({ videoId, lastError, createdAt, claim }: FileRow): void {
    const { host, world, objects } = this.#of
    const one = host.hosted.get(videoId)!
    world.note(`${videoId.slice(0, 8)} lost by claim ${claim}: ${lastError}`)
    if (!lastError) this.breach(`8: ${videoId} is lost without a reason`)
    if (one.kind !== 'video') return
    for (const [objectKey, object] of objects.objects)
      if (object.equals(one.content) && this.#putAt.get(objectKey)! < world.now - timeToLookMs)
        return this.breach(`8: ${videoId} is given up, and is in the store as ${objectKey}`)
    if (!host.isGone(one))
      return this.breach(`8: ${videoId} is given up, and can still be had: ${lastError}`)
    const diedAt = one.diesAt.at(-1)!
    const adoptedAt = createdAt - Date.UTC(2026, 0, 1)
    if (!this.#warned.has(videoId) && this.#calm(adoptedAt, diedAt))
      this.breach(`8: ${videoId} is lost, and nobody was told before`)
  }

  /** Whether nothing was away for long enough between two instants. */
  #calm(from: number, to: number): boolean {
    let free = from
    for (const [begins, ends] of this.#troubles.toSorted((a, b) => a[0] - b[0])) {
      if (Math.min(begins, to) - free >= timeToWarnMs) return true
      free = Math.max(free, ends)
    }
    return to - free >= timeToWarnMs
  }

  /** With nothing in the way any more. */
  atRest(): void {
    const { store, broker } = this.#of
    const told = new Map<string, number>()
    for (const { data } of broker.contentOf(streams.outbox)) {
      const { id, version } = JSON.parse(new TextDecoder().decode(data)) as VideoEvent
      told.set(`${id}:${version}`, (told.get(`${id}:${version}`) ?? 0) + 1)
    }
    for (const { id, version } of store.videos.values()) {
      const row = store.files.rows.get(id)
      if (this.isOpen(id))
        this.breach(
          `8: the file of ${id} is neither kept nor lost: ${row ? `${row.tries} tries, ${row.lastError}` : 'not queued'}`,
        )
      if (row?.state !== 'stored') continue
      this.#isWhole(id, 'at the end')
      const times = told.get(`${id}:${version}`) ?? 0
      if (times !== 1) this.breach(`3: ${eventSubject('stored')} of ${id} is told ${times} times`)
    }
  }
}
