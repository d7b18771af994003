/**
 * How the pieces of a file come onto a disk: in batches, one of which is gathered while the other
 * is written, so that memory stays the same however large the file is.
 */
import type { FileHandle } from 'node:fs/promises'
import { giveBack, pieceCosts } from './pieces.ts'

/**
 * Each call to the disk costs more than the copy it makes, so batches are large while few files are
 * in work. Each file takes a share of what is left of this much, and the least at least.
 */
const batchesBytes = 16 * 1024 * 1024
const sharesLeft = 8
const [leastBatch, mostBatch] = [64 * 1024, 512 * 1024]
let taken = 0
const batchOf = () =>
  Math.max(leastBatch, Math.min(mostBatch, (batchesBytes - taken) / 2 / sharesLeft))
const syncedAtOnce = 32 * 1024 * 1024
const lanes = [Promise.resolve(), Promise.resolve()]
let syncs = 0

/**
 * The disk begins early with what is written, so that the sync at the end waits for the last pieces
 * only.
 */
export class BatchWriter implements AsyncDisposable {
  bytes = 0
  readonly #file: FileHandle
  readonly #givesUp: boolean
  /** Two of them for each file in work. */
  readonly #batchBytes = batchOf()
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #unsynced = 0
  #writing: Promise<void> = Promise.resolve()
  #syncing: Promise<void> = Promise.resolve()

  constructor(file: FileHandle, givesUp: boolean) {
    this.#file = file
    this.#givesUp = givesUp
    taken += 2 * this.#batchBytes
  }

  /** Waits only where one batch is full and the one before it not yet written. */
  async add(piece: Uint8Array): Promise<void> {
    this.bytes += piece.length
    this.#gathered.push(piece)
    this.#gatheredBytes += piece.length
    if (this.#gatheredBytes + this.#gathered.length * pieceCosts >= this.#batchBytes)
      await this.#flush()
  }

  /** All of it is written, not yet synced. */
  async end(): Promise<void> {
    await this.#flush()
    await this.#writing
    await this.#syncing
  }

  async #flush(): Promise<void> {
    await this.#writing
    const [batch, bytes] = [this.#gathered, this.#gatheredBytes]
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#writing = this.#write(batch)
    this.#writing.catch(() => {}) // told where it is awaited
    this.#unsynced += bytes
    if (this.#unsynced < syncedAtOnce) return
    this.#unsynced = 0
    await this.#syncing
    this.#syncing = inTurn(() => this.#file.datasync())
    this.#syncing.catch(() => {}) // told where it is awaited
  }

  async #write(batch: Uint8Array[]): Promise<void> {
    await writeAll(this.#file, batch)
    if (this.#givesUp) batch.forEach(giveBack)
  }

  /** Nothing uses the file any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#writing, this.#syncing])
    taken -= 2 * this.#batchBytes
  }
}

/** A disk that becomes full takes a part of what it is given, and says so at the next call. */
async function writeAll(file: FileHandle, pieces: Uint8Array[]): Promise<void> {
  for (let left = after(pieces, 0); left.length > 0;)
    left = after(left, (await file.writev(left)).bytesWritten)
}

/** What is left of pieces of which so many bytes are written. */
function after(pieces: Uint8Array[], written: number): Uint8Array[] {
  let ended = 0
  return pieces.flatMap((piece) => {
    const done = Math.min(Math.max(0, written - ended), piece.length)
    ended += piece.length
    return done < piece.length ? [piece.subarray(done)] : []
  })
}

/** Two at once, of all files: of Node's four threads two are left for writing. */
export function inTurn(sync: () => Promise<void>): Promise<void> {
  const lane = syncs++ % lanes.length
  const done = lanes[lane]!.then(sync)
  lanes[lane] = done.catch(() => {})
  return done
}
