import { expect, it } from 'vitest'
import { createLogger } from '#libs/runtime/logger.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Archiver, type ArchiverParts } from './archiver.ts'

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
