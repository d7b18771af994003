/** Look-ups and polls of one account, over what it may ask, in a world whose time is passed in. */
import { expect, it } from 'vitest'
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import { Budget } from '#libs/provider/query-budget.ts'
import type { Queries } from '#libs/scene-video/queries.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { LookUpTurns } from './look-up-turns.ts'

const account: OpenedAccount = {
  id: 'a',
  formerIds: [],
  baseUrl: 'https://example.com',
  apiKey: 'sk',
}
const limited = { name: 'x', budgets: { usual: { queryPerSecond: 20 }, set: {} } }

/**
 * What is asked in a minute by 600 look-ups of one user, by five of another one from the tenth
 * second on, and by pollers that have more to ask than they may.
 */
async function minute(provider: typeof limited, requests = 1) {
  const world = new World(1)
  const { clock } = new Process(world, 'submit')
  const budget = new Budget(clock, {}, () => 1)
  const turns = new LookUpTurns(
    {
      publishCore: (_, body) => {
        const { accountId, count } = body as Queries
        budget.spent(accountId, count)
      },
    },
    clock,
  )
  const asked = { lookUps: [] as number[], others: [] as number[], polls: [] as number[] }
  const lookUp = async (one: { name: string; userId: string }): Promise<void> => {
    const waitMs = await turns.until(account, provider, one)
    if (waitMs > 0) return void clock.after(Math.min(waitMs, 60_000), () => void lookUp(one))
    const control = turns.control(account, provider)
    for (let i = 0; i < requests; i++) {
      control.mayWrite!()
      asked[one.userId === 'big' ? 'lookUps' : 'others'].push(world.now)
    }
  }
  const poll = () => {
    const waitMs = budget.take({ id: 'a', provider })
    clock.after(Math.max(1, waitMs), () => {
      asked.polls.push(world.now)
      poll()
    })
  }
  poll()
  for (let i = 0; i < 600; i++) void lookUp({ name: `v-${i}`, userId: 'big' })
  clock.after(10_000, () => {
    for (let i = 0; i < 5; i++) void lookUp({ name: `w-${i}`, userId: 'small' })
  })
  clock.after(60_000, () => {})
  await new Promise((done) => setImmediate(done))
  while (world.now < 60_000 && (await world.step()));
  return asked
}

it.each([1, 10])(
  'takes look-ups of %i requests from their account’s queries, a quarter at most',
  async (requests) => {
    const { lookUps, others, polls } = await minute(limited, requests)
    const looked = [...lookUps, ...others]
    expect(looked.length).toBeGreaterThan(0.9 * 0.25 * 0.95 * 20 * 60)
    expect(looked.length).toBeLessThan(0.25 * 20 * 60)
    const all = [...looked, ...polls]
    expect(all.length).toBeLessThan(20 * 60)
    expect(all.length).toBeGreaterThan(0.9 * 20 * 60)
  },
)

it('gives users turns, however many lost creates one of them has at their account', async () => {
  const { others } = await minute(limited)
  expect(others).toHaveLength(5)
  // every other turn is theirs
  expect(Math.max(...others)).toBeLessThan(10_000 + 5 * 2 * 250 + 1_000)
})

it('holds up no look-up where no limit of queries is known', async () => {
  const { lookUps } = await minute({ name: 'x', budgets: { usual: {}, set: {} } as never })
  expect(lookUps).toHaveLength(600)
  expect(Math.max(...lookUps)).toBeLessThan(100)
})
