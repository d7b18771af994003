/** Accounts beside each other: none holds up the polls of another one. */
import { expect, it } from 'vitest'
import type { Bus } from '#libs/bus/bus.ts'
import type { Account, Control, Found, Provider } from '#libs/provider/provider.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Budget } from '#libs/provider/query-budget.ts'
import { Host } from './host.ts'

const key: Keyring = [Buffer.alloc(32, 1)]
const working: Found = {
  answer: { kind: 'working', phase: 'running', progress: 1 },
  taskId: null,
  rateLimit: null,
}

function hostIn(
  world: World,
  get: (account: Account, taskId: string, control: Control) => Promise<Found>,
  limit = { perSecond: 1_000, burst: 1_000 },
) {
  const { clock } = new Process(world, 'poller')
  const late: number[] = []
  const misses: string[] = []
  let trusted = true
  const lives = { expectedMs: 600_000, resultLifeMs: 86_400_000 }
  const provider = { ...lives, mostAtOnce: () => 1, get } as unknown as Provider
  const host = new Host({
    bus: { store: async () => 1 } as unknown as Bus,
    clock,
    providers: { of: () => provider },
    concurrency: 8,
    queryTimeoutMs: 11_000,
    log: createLogger('test', 'silent'),
    budget: new Budget(clock, limit, () => 1),
    intervalMs: 5_000,
    keyEncryptionKey: key,
    isLeaseValid: () => trusted,
    onEnded: () => {},
    polls: { inc: (labels: unknown) => void misses.push((labels as { answer: string }).answer) },
    lateness: { observe: (seconds) => void late.push(seconds) },
  })
  const adopt = (n: number, account: string) =>
    host.adopt({
      id: `01a20dfc-26a3-7015-b732-${String(n).padStart(12, '0')}`,
      epoch: '7',
      attempt: 1,
      userId: account,
      status: 'generating',
      phase: 'running',
      progress: 1,
      provider: 'toapis',
      model: 'm',
      taskId: account,
      baseUrl: 'http://127.0.0.1:1/v1',
      keyCipher: encrypt(account, key),
      reportNo: 0,
      cancelRequested: false,
      sinceSubmittedMs: 0,
      sinceSignOfLifeMs: 0,
      untilDeadlineMs: null,
    })
  return { host, world, adopt, late, misses, trust: (on: boolean) => (trusted = on) }
}
const run = async (world: World, untilMs: number) => {
  while (world.now < untilMs && (await world.step()));
}

it('polls a tenant on time beside others whose providers never answer, heeding no signal', async () => {
  const world = new World(1)
  const polledAt: number[] = []
  let open = 0
  const { adopt, misses } = hostIn(world, (_, taskId) => {
    if (taskId.startsWith('hangs')) return (open++, new Promise(() => {}))
    polledAt.push(world.now)
    return Promise.resolve(working)
  })
  for (let n = 0; n < 60; n++) adopt(n, `hangs-${n % 3}`)
  adopt(99, 'good')
  await run(world, 120_000)
  expect(polledAt.length).toBeGreaterThan(20)
  // the interval with its jitter, the tick, and what the others may take: 2 s
  for (const [i, at] of polledAt.slice(1).entries())
    expect(at - polledAt[i]!).toBeLessThan(5_500 + 100 + 2_000)
  // given up, the hanging ones are asked again and again, four at a time for each account
  expect(misses.filter((one) => one === 'none').length).toBeGreaterThan(60)
  expect(open).toBeGreaterThan(60)
})

it('tells how late a poll is that waits for open queries, and leaves out the wait for the budget', async () => {
  const hangs = hostIn(new World(1), () => new Promise(() => {}))
  const full = hostIn(new World(1), async () => working, { perSecond: 1, burst: 1 })
  for (const [{ adopt, world, late }, isLate] of [
    [hangs, true],
    [full, false],
  ] as const) {
    for (let n = 0; n < 20; n++) adopt(n, 'one')
    await run(world, 60_000)
    expect(late.length).toBeGreaterThan(10)
    expect(Math.max(...late) > 5).toBe(isLate)
    expect(Math.max(...late)).toBeGreaterThan(0)
  }
})

it('aborts what it gives up, and takes a late answer for none', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'provider')
  let aborted = 0
  const { host, adopt } = hostIn(world, (_, __, { signal }) => {
    signal?.addEventListener('abort', () => aborted++)
    return new Promise((resolve) => clock.after(30_000, () => resolve(working)))
  })
  adopt(1, 'slow')
  await run(world, 45_000)
  expect(aborted).toBeGreaterThanOrEqual(2)
  const [video] = host.videos.values()
  expect(video!.state.misses).toBeGreaterThanOrEqual(2)
})

it('lets nothing be written once its session is not trusted', async () => {
  const world = new World(1)
  const said: boolean[] = []
  const { adopt, trust } = hostIn(world, async (_, __, { mayWrite }) => {
    said.push(mayWrite!())
    trust(false)
    said.push(mayWrite!())
    return working
  })
  adopt(1, 'good')
  await run(world, 60_000)
  expect(said).toEqual([true, false])
})

it('takes what a poll asks again from the account’s queries', async () => {
  const world = new World(1)
  let asked = 0
  const twice = async (_: Account, __: string, { mayWrite }: Control) => {
    for (let i = 0; i < 2; i++) if (mayWrite!()) asked++
    return working
  }
  const { adopt } = hostIn(world, twice, { perSecond: 2, burst: 1 })
  for (let n = 0; n < 40; n++) adopt(n, 'one')
  await run(world, 60_000)
  expect(asked).toBeGreaterThan(90)
  expect(asked).toBeLessThanOrEqual(2 * 60 + 2)
})
