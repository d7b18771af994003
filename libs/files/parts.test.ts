import { randomBytes } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { FileMemory, inParts, PartMemory, type Part } from './parts.ts'

const partBytes = 1_000
const memoryOf = (most: number, all = new PartMemory(most, 0), stop = new AbortController()) =>
  new FileMemory(all, stop.signal)

async function partsOf(
  pieces: Uint8Array[],
  options: Parameters<typeof inParts>[2] = {},
  most = partBytes,
) {
  const parts: { bytes: Buffer; isLast: boolean }[] = []
  using memory = memoryOf(most)
  const body = (async function* () {
    yield* pieces
  })()
  for await (const { part, isLast } of inParts(body, memory, options)) {
    parts.push({ bytes: Buffer.from(part), isLast })
    memory.free(part)
  }
  return parts
}

it.each([
  ['nothing', [], [0]],
  ['one byte', [1], [1]],
  ['a part to the byte', [400, 600], [1_000]],
  ['one byte more', [1_000, 1], [1_000, 1]],
  ['two parts to the byte, in one piece', [2_000], [1_000, 1_000]],
  ['pieces larger than parts', [2_500, 700], [1_000, 1_000, 1_000, 200]],
  ['empty pieces between', [0, 1_000, 0, 0, 5, 0], [1_000, 5]],
  ['a byte at a time', Array.from({ length: 1_001 }, () => 1), [1_000, 1]],
])('makes parts of %s', async (_, pieces, sizes) => {
  const data = pieces.map((size) => randomBytes(size))
  const parts = await partsOf(data)
  expect(parts.map(({ bytes }) => bytes.length)).toEqual(sizes)
  expect(parts.map(({ isLast }) => isLast)).toEqual(sizes.map((_, i) => i === sizes.length - 1))
  expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(Buffer.concat(data))).toBe(true)
})

it('makes parts that are larger than what it begins with', async () => {
  const data = Array.from({ length: 70 }, (_, i) => randomBytes(30_000 + i))
  const parts = await partsOf(data, {}, 1024 * 1024)
  expect(parts.map(({ bytes }) => bytes.length)).toEqual([1024 * 1024, 1024 * 1024, 5_263])
  expect(Buffer.concat(parts.map(({ bytes }) => bytes)).equals(Buffer.concat(data))).toBe(true)
})

it('gives the memory of pieces back that are given up, and of no others', async () => {
  const pieces = () => [new Uint8Array(1_500), new Uint8Array(10)]
  const [given, lent] = [pieces(), pieces()]
  await partsOf(given, { givesUp: true })
  await partsOf(lent)
  expect(given.map(({ buffer }) => buffer.detached)).toEqual([true, true])
  expect(lent.map(({ buffer }) => buffer.detached)).toEqual([false, false])
})

it('ends with the signal, before a last part', async () => {
  const stop = new AbortController()
  const body = (async function* () {
    yield randomBytes(100)
    stop.abort(new Error('called off'))
  })()
  const first = inParts(body, memoryOf(partBytes), { signal: stop.signal }).next()
  await expect(first).rejects.toThrow('called off')
})

/** As many as come without one being freed. */
async function heldBy(memory: FileMemory): Promise<Part[]> {
  const body = (async function* () {
    for (let i = 0; i < 20; i++) yield randomBytes(partBytes)
  })()
  const held: Part[] = []
  const parts = inParts(body, memory, {})
  for (;;) {
    const next = await Promise.race([parts.next(), setImmediate(null)])
    if (next === null || next.done) return held
    held.push(next.value)
  }
}

it('lends a file three parts beside its own, and all files together what there is', async () => {
  const all = new PartMemory(partBytes, 4)
  const files = [1, 2, 3].map(() => memoryOf(partBytes, all))
  const held: Part[][] = []
  for (const file of files) held.push(await heldBy(file))
  expect(held.map((parts) => parts.length)).toEqual([4, 2, 1])
  expect(new Set(held.flat().map(({ part }) => part.buffer)).size).toBe(7)
  files[0]![Symbol.dispose]()
  expect(await heldBy(memoryOf(partBytes, all))).toHaveLength(4)
})

it('keeps of what ended no more than it lends, and nothing once all have ended', async () => {
  const all = new PartMemory(partBytes, 2)
  const files = Array.from({ length: 6 }, () => memoryOf(partBytes, all))
  const slow = memoryOf(partBytes, all)
  const used = new Set<unknown>()
  for (const file of files)
    for (const { part } of await heldBy(file)) {
      used.add(part.buffer)
      file.free(part)
    }
  for (const file of files) file[Symbol.dispose]()
  const takenAgain = () => {
    const taken = Array.from({ length: 6 }, () => all.take().buffer)
    return taken.filter((one) => used.has(one)).length
  }
  expect([used.size, takenAgain(), takenAgain()]).toEqual([8, 2, 0])
  slow.free(new Uint8Array(partBytes))
  slow[Symbol.dispose]()
  expect(takenAgain()).toBe(0)
})

it('leaves nothing with the signal of a file that is done', () => {
  const stop = new AbortController()
  const memory = memoryOf(partBytes, new PartMemory(partBytes, 0), stop)
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
  memory[Symbol.dispose]()
  expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
})

it('waits for a part to be free, and no longer than the signal', async () => {
  const stop = new AbortController()
  const memory = memoryOf(partBytes, new PartMemory(partBytes, 0), stop)
  const [{ part }] = (await heldBy(memory)) as [Part]
  const next = memory.next()
  memory.free(part)
  expect((await next).buffer).toBe(part.buffer)
  const never = memory.next()
  stop.abort(new Error('called off'))
  await expect(never).rejects.toThrow('called off')
})
