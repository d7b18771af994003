/**
 * Files in a local directory: `<first two of the hash>/<next two>/<key>`, so that no directory
 * grows large.
 *
 * A file is written under `incoming/`, synced, and renamed to its place; the directory is synced,
 * too. So after a crash or a power failure a file is there whole or not at all. What a dead process
 * left under `incoming/` is removed once it is a day old.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { requireFileKey, StoreFull, type FileStore, type PutOptions } from './file-store.ts'

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
/** Of a piece, beside its bytes: a host may send one at a time. */
const pieceCosts = 512
const syncedAtOnce = 32 * 1024 * 1024
const lanes = [Promise.resolve(), Promise.resolve()]
let syncs = 0
const abandonedAfterMs = 24 * 3_600_000

/**
 * Opens, and makes where it is missing, a store at `root`. @throws when that cannot be written to
 */
export async function openDirectoryStore(root: string): Promise<FileStore> {
  const incoming = join(root, 'incoming')
  await mkdir(incoming, { recursive: true, mode: 0o700 })
  await removeAbandoned(incoming)
  return {
    place: `directory ${root}`,
    put: (key, body, options) => put(root, requireFileKey(key), body, options),
    async read(key, range) {
      const path = pathOf(root, requireFileKey(key))
      return (await sizeOf(path)) === null ? null : createReadStream(path, range)
    },
    size: (key) => sizeOf(pathOf(root, requireFileKey(key))),
    async remove(key) {
      await rm(pathOf(root, requireFileKey(key)), { force: true })
    },
    list: () => list(root),
    async [Symbol.asyncDispose]() {},
  }
}

function pathOf(root: string, key: string): string {
  const hash = createHash('sha256').update(key).digest('hex')
  return join(root, hash.slice(0, 2), hash.slice(2, 4), key)
}

async function put(
  root: string,
  key: string,
  body: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<number> {
  const temporary = join(root, 'incoming', randomUUID())
  const path = pathOf(root, key)
  try {
    const bytes = await writeSynced(temporary, body, options)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await rename(temporary, path)
    for (const directory of [dirname(path), dirname(dirname(path)), root]) await sync(directory)
    return bytes
  } catch (err) {
    await rm(temporary, { force: true }).catch(() => {})
    if (isFull(err)) throw new StoreFull(`no room in ${root}`, { cause: err })
    throw err
  }
}

async function writeSynced(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { signal, givesUp = false }: PutOptions,
): Promise<number> {
  await using file: FileHandle = await open(path, 'wx', 0o600)
  await using writer = new BatchWriter(file, givesUp)
  for await (const chunk of body) {
    signal?.throwIfAborted()
    await writer.add(chunk)
  }
  await writer.end()
  signal?.throwIfAborted()
  await inTurn(() => file.sync())
  const { size } = await file.stat()
  if (size !== writer.bytes) throw new Error(`the disk has ${size} of ${writer.bytes} bytes`)
  return size
}

/**
 * Writes pieces in batches, one of which is gathered while the other is written: memory stays the
 * same however large the file is. The disk begins early with what is written, so that the sync at
 * the end waits for the last pieces only.
 */
class BatchWriter implements AsyncDisposable {
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

/** At once: garbage outside the heap waits for a collection of all of it. */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  // rule: memory is given back by whoever has all of it
  const isAll = byteLength > 0 && byteLength === buffer.byteLength
  if (isAll && buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/** Two at once, of all files: of Node's four threads two are left for writing. */
function inTurn(sync: () => Promise<void>): Promise<void> {
  const lane = syncs++ % lanes.length
  const done = lanes[lane]!.then(sync)
  lanes[lane] = done.catch(() => {})
  return done
}

async function sync(directory: string): Promise<void> {
  await using handle = await open(directory, 'r')
  await handle.sync()
}

const codeOf = (err: unknown): string => (err as { code?: string }).code ?? ''
const isFull = (err: unknown): boolean => ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(err))

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size
  } catch (err) {
    if (codeOf(err) === 'ENOENT') return null
    throw err
  }
}

async function* list(root: string): AsyncIterable<{ key: string; bytes: number }> {
  const hex = (name: string) => /^[0-9a-f]{2}$/.test(name)
  for (const first of (await readdir(root)).filter(hex))
    for (const second of (await readdir(join(root, first))).filter(hex))
      for (const key of await readdir(join(root, first, second))) {
        const bytes = await sizeOf(join(root, first, second, key))
        if (bytes !== null) yield { key, bytes }
      }
}

async function removeAbandoned(incoming: string): Promise<void> {
  // The age is told by the file system's own clock: a new file's time against the old one's.
  const probe = join(incoming, randomUUID())
  await (await open(probe, 'wx', 0o600)).close()
  const now = (await stat(probe)).mtimeMs
  await rm(probe, { force: true })
  for (const name of await readdir(incoming)) {
    const found = await stat(join(incoming, name)).catch(() => null)
    if (found && now - found.mtimeMs > abandonedAfterMs)
      await rm(join(incoming, name), { force: true })
  }
}
