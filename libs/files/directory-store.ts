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
import { BatchWriter, inTurn } from './batch-writer.ts'
import { requireFileKey, StoreFull, type FileStore, type PutOptions } from './file-store.ts'

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
