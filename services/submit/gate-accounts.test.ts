import { expect, it } from 'vitest'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { MemoryProviderAccounts } from '../../test/simulation/memory-provider-accounts.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Gate } from './gate.ts'

const at = {
  account: { id: 'a', formerIds: [], baseUrl: 'https://example.com/v1' },
  provider: { name: 'toapis', budgets: { usual: {}, set: {} } },
}
const log = createLogger('test', 'silent')
const bus = { publishCore: () => {}, subscribe: () => ({ stop: () => {} }) }

it('knows at once of a circuit that was opened while it sent nothing', async () => {
  const world = new World(1)
  const store = new MemoryProviderAccounts(() => world.now)
  const { clock } = new Process(world, 'submit')
  const gate = new Gate({ clock, log, bus, store })
  clock.after(95_000, () => {})
  await new Promise((done) => setImmediate(done)) // what was begun has set its timers
  while (world.now < 95_000 && (await world.step()));
  await store.open({ accountId: 'a', provider: 'toapis' }, 'it fails elsewhere')
  const video = { id: 'v', userId: 'u', attempt: 1 }
  expect(await gate.pass(at, video)).toMatchObject({ kind: 'wait', reason: /circuit open/ })
  await gate[Symbol.asyncDispose]()
})

it('says again, once a day at least, that it uses an account', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'submit')
  const told: number[] = []
  const store = Object.assign(new MemoryProviderAccounts(() => world.now), {
    know: async () => void told.push(world.now),
  })
  const gate = new Gate({ clock, log, bus, store })
  for (let hour = 1; hour <= 48; hour++) {
    clock.after(3_600_000, () => {})
    await new Promise((done) => setImmediate(done)) // what was begun has set its timers
    while (world.now < hour * 3_600_000 && (await world.step()));
    await gate.pass(at, { id: `v${hour}`, userId: 'u', attempt: 1 })
  }
  expect(told.length).toBeGreaterThanOrEqual(4)
  expect(told.length).toBeLessThan(6)
  await gate[Symbol.asyncDispose]()
})

it('lets go whoever has a place, while places are taken for hundreds behind it', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'submit')
  const memory = new MemoryProviderAccounts(() => world.now)
  const takeTask: typeof memory.takeTask = async (...asked) => {
    await sleep(20, undefined, clock)
    return memory.takeTask(...asked)
  }
  const store = Object.assign(Object.create(memory) as typeof memory, { takeTask })
  const gate = new Gate({ clock, log, bus, store })
  const limited = {
    ...at,
    provider: { ...at.provider, budgets: { usual: {}, set: { parallelTasks: 1_000 } } },
  }
  const videos = Array.from({ length: 600 }, (_, i) => ({ id: `v${i}`, userId: 'u', attempt: 1 }))
  const entered = Promise.all(videos.map((video) => gate.enter(limited, video)))
  clock.after(60_000, () => {})
  await new Promise((done) => setImmediate(done))
  while (world.now < 60_000 && (await world.step()));
  expect((await entered).filter((wait) => wait !== null)).toEqual([])
  await gate[Symbol.asyncDispose]()
})
