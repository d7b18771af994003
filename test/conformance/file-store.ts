/** What every store of files does, whatever it is made of. */
import { randomBytes, randomUUID } from 'node:crypto'
import { expect, it } from 'vitest'
import type { FileStore } from '#libs/files/file-store.ts'

const collect = async (body: AsyncIterable<Uint8Array> | null): Promise<Buffer | null> => {
  if (body === null) return null
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function* inPieces(data: Buffer, size = 64 * 1024, failAt = Infinity) {
  for (let at = 0; at < data.length; at += size) {
    if (at >= failAt) throw new Error('the source broke off')
    yield data.subarray(at, at + size)
  }
}

const newKey = () => `${randomUUID()}-1.mp4`
const type = 'video/mp4'

export function describesFileStore(open: () => FileStore): void {
  it('gives back what was put, whole and by ranges', async () => {
    const [store, key, data] = [open(), newKey(), randomBytes(300_000)]
    expect(await store.put(key, inPieces(data), { type })).toBe(data.length)
    expect(await store.size(key)).toBe(data.length)
    expect((await collect(await store.read(key)))!.equals(data)).toBe(true)
    const middle = await collect(await store.read(key, { start: 100_000, end: 100_009 }))
    expect(middle!.equals(data.subarray(100_000, 100_010))).toBe(true)
    const last = await collect(
      await store.read(key, { start: data.length - 1, end: data.length - 1 }),
    )
    expect(last!.equals(data.subarray(-1))).toBe(true)
  })

  it('stores a file of several parts, and an empty one', async () => {
    const [store, large, empty, data] = [open(), newKey(), newKey(), randomBytes(21_000_000)]
    expect(await store.put(large, inPieces(data, 1_000_003), { type })).toBe(data.length)
    expect((await collect(await store.read(large)))!.equals(data)).toBe(true)
    expect(await store.put(empty, inPieces(Buffer.alloc(0)), { type })).toBe(0)
    expect(await store.size(empty)).toBe(0)
  })

  takesMemory(open)

  it('knows nothing of a file that is not there', async () => {
    const [store, key] = [open(), newKey()]
    expect(await store.size(key)).toBeNull()
    expect(await store.read(key)).toBeNull()
    await store.remove(key)
  })

  it('leaves nothing of a put that broke off, or was called off', async () => {
    const [store, broken, aborted, data] = [open(), newKey(), newKey(), randomBytes(12_000_000)]
    await expect(store.put(broken, inPieces(data, 65_536, 9_000_000), { type })).rejects.toThrow(
      'the source broke off',
    )
    const stop = new AbortController()
    const slowly = async function* () {
      for await (const piece of inPieces(data, 1_000_000)) {
        yield piece
        stop.abort(new Error('called off'))
      }
    }
    await expect(store.put(aborted, slowly(), { type, signal: stop.signal })).rejects.toThrow()
    for (const key of [broken, aborted]) expect(await store.size(key)).toBeNull()
  })

  it('removes for good, and lists what is there', async () => {
    const store = open()
    const keys = [newKey(), newKey(), newKey()]
    for (const key of keys) await store.put(key, inPieces(randomBytes(1_000)), { type })
    await store.remove(keys[1]!)
    const listed = new Map<string, number>()
    for await (const { key, bytes } of store.list()) listed.set(key, bytes)
    expect(keys.map((key) => listed.get(key))).toEqual([1_000, undefined, 1_000])
    expect(await store.size(keys[1]!)).toBeNull()
  })

  it.each(['', '../x', '/etc/passwd', 'a/b', 'A', '.hidden', 'x\0y', 'x'.repeat(300)])(
    'refuses %j as a key',
    async (key) => {
      await expect(Promise.resolve().then(() => open().size(key))).rejects.toThrow(RangeError)
    },
  )
}

function takesMemory(open: () => FileStore): void {
  it('takes memory that is given up, and only what nobody else uses', async () => {
    const [store, given, lent] = [open(), newKey(), newKey()]
    const [first, rest] = [randomBytes(300_000), randomBytes(200_000)]
    const whole = () => Buffer.from(Uint8Array.from(first).buffer)
    // two pieces of one memory, as of an answer whose head and body came together
    const shared = Buffer.from(Uint8Array.from(rest).buffer)
    async function* body(one: Buffer) {
      yield* [Buffer.alloc(0), one, shared.subarray(0, 150_000), shared.subarray(150_000)]
    }
    const all = Buffer.concat([first, rest])
    expect(await store.put(given, body(whole()), { type, givesUp: true })).toBe(all.length)
    expect((await collect(await store.read(given)))!.equals(all)).toBe(true)
    expect(shared.equals(rest)).toBe(true)
    const kept = whole()
    await store.put(lent, body(kept), { type })
    expect(kept.equals(first)).toBe(true)
  })
}
