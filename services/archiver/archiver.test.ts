import { expect, it } from 'vitest'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { Process, World } from '../../test/simulation/world.ts'
import type { ClaimedFile } from '#libs/store/file-records.ts'
import { Archiver, type ArchiverParts } from './archiver.ts'
import { Slots } from './slots.ts'

const quiet = 100_000

/** An archiver to which nothing happened for long, and when it looked for files. */
async function idle(waiting: () => number) {
  const world = new World(1)
  const { clock } = new Process(world, 'archiver')
  const looks: number[] = []
  const records = {
    adopt: async () => void looks.push(world.now),
    claim: async () => [],
    waiting: async () => ({ waiting: waiting(), expiringSoon: 0 }),
  }
  const archiver = new Archiver({
    clock,
    records,
    removal: { removing: async () => [], removed: async () => {} },
    log: createLogger('test', 'silent'),
    concurrency: 4,
    timeoutMs: 60_000,
    count: () => {},
    gauge: () => {},
  } as unknown as ArchiverParts)
  const pass = async (ms: number) => {
    const until = world.now + ms
    clock.after(ms, () => {})
    while (world.now < until && (await world.step()));
  }
  await pass(quiet)
  const looksIn = async (ms: number) => {
    const before = looks.length
    await pass(ms)
    return looks.length - before
  }
  return { archiver, looksIn }
}

it('looks rarely while no file waits, and at once for a video that was completed', async () => {
  const { archiver, looksIn } = await idle(() => 0)
  expect(await looksIn(60_000)).toBeLessThanOrEqual(5)
  archiver.wake()
  expect(await looksIn(1_500)).toBeGreaterThanOrEqual(1)
  await archiver[Symbol.asyncDispose]()
})

it('looks often for a file that waits for its next try at an archiver that died', async () => {
  let waiting = 0
  const { archiver, looksIn } = await idle(() => waiting)
  waiting = 1
  await looksIn(16_000)
  expect(await looksIn(30_000)).toBeGreaterThanOrEqual(25)
  await archiver[Symbol.asyncDispose]()
})

interface Waiting {
  id: string
  userId: string
  claim: number
}
type Claim = Parameters<ArchiverParts['records']['claim']>[0]

/** Four slots at hosts that give a byte now and then, or none at all; when each fetch began. */
async function begunIn(how: string, claim: (asked: Claim) => Waiting[], ms: number) {
  const world = new World(1)
  const { clock } = new Process(world, 'archiver')
  const begun = new Map<string, number>()
  const archiver = new Archiver({
    clock,
    records: {
      claim: async (asked: Claim) => claim(asked),
      adopt: async () => {},
      failed: async () => {},
      renew: async (held: { id: string }[]) => held.map(({ id }) => id),
      waiting: async () => ({ waiting: 1, expiringSoon: 0 }),
    },
    removal: { removing: async () => [], removed: async () => {} },
    files: {
      size: async () => null,
      put: async (_: string, body: AsyncIterable<unknown>) => Array.fromAsync(body),
    },
    async *fetch({ id }: Waiting, signal: AbortSignal) {
      begun.set(id, world.now)
      while (how === 'drip') {
        await sleep(500, signal, clock)
        signal.throwIfAborted()
        yield Buffer.of(1)
      }
      await new Promise((_, fail) => signal.addEventListener('abort', () => fail(signal.reason)))
    },
    log: createLogger('test', 'silent'),
    concurrency: 4,
    timeoutMs: 1_800_000,
    count: () => {},
    gauge: () => {},
  } as unknown as ArchiverParts)
  clock.after(ms, () => {})
  while (world.now < ms && (await world.step()));
  await archiver[Symbol.asyncDispose]()
  return begun
}

it.each([
  ['drip', 29_000, 35_000],
  ['are silent', 0, 2_500],
])('fetches a file soon, though hosts of other users %s in all slots', async (how, least, most) => {
  const waiting = ['a', 'b', 'c', 'd', 'good'].map((id) => ({ id, userId: id, claim: 1 }))
  const begun = await begunIn(how, ({ most }) => waiting.splice(0, most), 60_000)
  expect(begun.get('good')).toBeLessThan(most)
  expect(begun.get('good')).toBeGreaterThan(least)
})

it('fetches a file at once, however many of another user come slowly', async () => {
  const fileOf = (id: string, userId: string) => ({ id, userId, claim: 1 })
  let waiting = [
    ...Array.from({ length: 9 }, (_, n) => fileOf(`${n}`, 'many')),
    fileOf('good', 'b'),
  ]
  /** As Postgres does. */
  const claim = ({ most, perUser, running }: Claim) => {
    const has = new Map(running)
    const claimed: Waiting[] = []
    for (const file of waiting) {
      const count = has.get(file.userId) ?? 0
      if (claimed.length === most || count >= perUser) continue
      has.set(file.userId, count + 1)
      claimed.push(file)
    }
    waiting = waiting.filter((file) => !claimed.includes(file))
    return claimed
  }
  const begun = await begunIn('drip', claim, 20_000)
  expect(begun.get('good')).toBeLessThan(1_000)
})

it('calls off a fetch whose file it claims anew', async () => {
  const file = { id: 'v', userId: 'u', claim: 1 } as ClaimedFile
  const newer = { ...file, claim: 2 }
  const slots = new Slots(new Process(new World(1), 'archiver').clock, 4)
  const of = (one: ClaimedFile) => ({
    file: one,
    stop: new AbortController(),
    done: Promise.resolve(),
  })
  const [first, second] = [of(file), of(newer)]
  slots.add(first)
  slots.add(second)
  expect([first.stop.signal.aborted, second.stop.signal.aborted]).toEqual([true, false])
  slots.free(file)
  expect(slots.all().map((one) => one.file)).toEqual([newer])
})

it('names a host of which half of all may be silent, and not while bytes come', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'archiver')
  const slots = new Slots(clock, 8)
  const fileOf = (n: number) =>
    ({ id: `f${n}`, userId: `u${n}`, url: `https://cdn.test/${n}` }) as ClaimedFile
  for (let n = 0; n < 4; n++)
    slots.add({ file: fileOf(n), stop: new AbortController(), done: Promise.resolve() })
  expect([slots.silentHosts(), slots.left()]).toEqual([[], 4])
  clock.after(1_500, () => {})
  while (await world.step());
  expect([slots.silentHosts(), slots.left()]).toEqual([['cdn.test'], 8])
  async function* body() {
    yield Buffer.of(1)
  }
  await Array.fromAsync(slots.watched(fileOf(0), body()))
  expect([slots.silentHosts(), slots.left()]).toEqual([[], 7])
  const slowStore = slots.watched(fileOf(1), body())
  await slowStore.next()
  clock.after(1_500, () => {})
  while (await world.step());
  expect(slots.left()).toBe(6)
})
