/** The circuit of one account, judged by several submits that each see a part of its creates. */
import { expect, it } from 'vitest'
import type { CreateAnswer } from '#libs/provider/provider.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { Broker } from '../../test/simulation/memory-broker.ts'
import { memoryBus } from '../../test/simulation/memory-bus.ts'
import { MemoryProviderAccounts } from '../../test/simulation/memory-provider-accounts.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Gate } from './gate.ts'

const log = createLogger('test', 'silent')
const accepted: CreateAnswer = { kind: 'accepted', taskId: 't' }
const failed: CreateAnswer = { kind: 'unknown', reason: '500' }
const refused: CreateAnswer = { kind: 'later', retryAfterMs: null, reason: 'ECONNREFUSED' }
const late: CreateAnswer = { ...refused, reason: 'too late', isLate: true }
const account = {
  account: { id: 'a', formerIds: [], baseUrl: 'https://example.com/v1' },
  provider: { name: 'toapis', budgets: { usual: {}, set: {} } },
}
const waiting = { id: 'w', userId: 'u', attempt: 1 }

function worldOf(submits: number) {
  const world = new World(1)
  const broker = new Broker(world)
  const store = new MemoryProviderAccounts(() => world.now)
  const gates = Array.from({ length: submits }, (_, i) => {
    const process = new Process(world, `submit-${i + 1}`)
    const bus = memoryBus(process, broker, { loss: 0, slow: 0, longest: 10 })
    return new Gate({ clock: process.clock, log, store, bus })
  })
  let videos = 0
  return {
    gates,
    /** Creates that the gates make in turn. */
    async tell(answer: CreateAnswer, count: number) {
      for (let i = 0; i < count; i++) {
        const video = { video: `v${videos++}`, wasTried: false }
        await gates[videos % submits]!.answered(account, answer, video)
      }
    },
    async pass(ms: number) {
      const until = world.now + ms
      await new Promise((done) => setImmediate(done)) // what was begun has set its timers
      while (world.now < until && (await world.step()));
    },
  }
}
const passages = (gates: Gate[]) => Promise.all(gates.map((gate) => gate.pass(account, waiting)))

it('opens by what all submits see together, however few of it each sees', async () => {
  const { gates, tell, pass } = worldOf(4)
  await tell(failed, 4)
  await pass(1_000)
  for (const { kind } of await passages(gates)) expect(kind).toBe('free')
  await tell(failed, 1)
  await pass(1_000)
  for (const { kind } of await passages(gates)) expect(kind).toBe('wait')
})

it('stays closed where most go well, though those of one submit fail', async () => {
  const { gates, tell, pass } = worldOf(4)
  for (let i = 0; i < 5; i++) {
    await tell(failed, 1)
    await tell(accepted, 3)
    await pass(500)
  }
  for (const { kind } of await passages(gates)) expect(kind).toBe('free')
})

it('has one of all submits try, and forgets everywhere what was before it went well', async () => {
  const { gates, tell, pass } = worldOf(4)
  await tell(failed, 8)
  await pass(11_000)
  const kinds = (await passages(gates)).map(({ kind }) => kind)
  expect(kinds.toSorted()).toEqual(['try', 'wait', 'wait', 'wait'])
  const tries = gates[kinds.indexOf('try')]!
  await tries.answered(account, accepted, { video: 'w', wasTried: true })
  await pass(2_000)
  await tell(failed, 2)
  await pass(2_000)
  for (const { kind } of await passages(gates)) expect(kind).toBe('free')
})

it('tries soon again what was surely not accepted, and seldom what may be paid for', async () => {
  const { gates, tell, pass } = worldOf(1)
  const [gate] = gates
  await tell(failed, 8)
  const waits = []
  for (const answer of [refused, refused, refused, failed, failed, refused]) {
    await pass(60_000)
    expect(await gate!.pass(account, waiting)).toEqual({ kind: 'try' })
    await gate!.answered(account, answer, { video: 'w', wasTried: true })
    await pass(1_500)
    waits.push(await gate!.pass(account, waiting))
  }
  const seconds = waits.map((wait) => (wait.kind === 'wait' ? Math.ceil(wait.ms / 1_000) : 0))
  expect(seconds).toEqual([8, 8, 8, 18, 38, 38])
})

it('takes nothing that was sent too late by us for a failure of the account', async () => {
  const { gates, tell, pass } = worldOf(1)
  const [gate] = gates
  await tell(late, 20)
  expect(await gate!.pass(account, waiting)).toEqual({ kind: 'free' })
  await tell(failed, 8)
  await pass(11_000)
  expect(await gate!.pass(account, waiting)).toEqual({ kind: 'try' })
  await gate!.answered(account, late, { video: 'w', wasTried: true })
  await pass(1_500)
  // nothing was tried
  expect(await gate!.pass(account, waiting)).toEqual({ kind: 'try' })
})
