/** Webhooks beside polling, by the real host, in a world whose time is passed in. */
import { expect, it } from 'vitest'
import type { Bus } from '#libs/bus/bus.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import type { Grant, Report } from '#libs/scene-video/messages.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Budget } from '#libs/provider/query-budget.ts'
import { Host } from './host.ts'

const key: Keyring = [Buffer.alloc(32, 1)]
const intervalMs = 5_000
const working: TaskAnswer = { kind: 'working', phase: 'running', progress: 1 }
const done: TaskAnswer = { kind: 'done', videoUrl: 'https://example.com/v.mp4', expiresAt: null }

const keyCipher = encrypt('sk-x', key)
const grantOf = (id: string) =>
  ({
    id,
    userId: 'u',
    taskId: id,
    epoch: '7',
    attempt: 1,
    status: 'generating',
    phase: 'running',
    progress: 1,
    provider: 'toapis',
    baseUrl: 'https://example.com/v1',
    keyCipher,
    model: 'm',
    reportNo: 0,
    cancelRequested: false,
    sinceSignOfLifeMs: 0,
    sinceSubmittedMs: 0,
    untilDeadlineMs: null,
  }) as Grant

function worldOf() {
  const world = new World(1)
  const { clock } = new Process(world, 'poller')
  const ended = new Set<string>()
  const polls: { id: string; at: number }[] = []
  const ends = new Map<string, number>()
  let answerMs = 0
  const provider = {
    expectedMs: 3_600_000,
    resultLifeMs: 86_400_000,
    mostAtOnce: () => 1,
    get: async (_: unknown, id: string) => {
      polls.push({ id, at: world.now })
      const answer = ended.has(id) ? done : working
      if (answerMs > 0) await new Promise<void>((resolve) => clock.after(answerMs, resolve))
      return { answer, taskId: id, rateLimit: null }
    },
  } as unknown as Provider
  const host = new Host({
    bus: {
      store: async (_: string, data: string) => {
        for (const { id, change } of JSON.parse(data) as Report[])
          if (change?.status === 'completed') ends.set(id, world.now)
        return 1
      },
    } as unknown as Bus,
    clock,
    providers: { of: () => provider },
    concurrency: 100,
    queryTimeoutMs: 11_000,
    log: createLogger('test', 'silent'),
    budget: new Budget(clock, { perSecond: 1_000, burst: 1_000 }, () => 1),
    intervalMs,
    keyEncryptionKey: key,
    isLeaseValid: () => true,
    onEnded: () => {},
    polls: { inc: () => {} },
  })
  let count = 0
  const newId = () => `01a20dfc-26a3-7015-b732-${String(count++).padStart(12, '0')}`
  const adopt = (id = newId(), dueInMs?: number): string => {
    host.adopt(grantOf(id), dueInMs)
    return id
  }
  const until = async (ms: number) => {
    await new Promise((resolve) => setImmediate(resolve)) // what was begun has set its timers
    clock.after(Math.max(0, ms - world.now), () => {}) // time stops there, whatever is next
    while (world.now < ms && (await world.step()));
  }
  const end = (id: string, isTold: boolean) => {
    ended.add(id)
    if (isTold) host.nudge(id, 'webhook')
  }
  const pollsOf = (id: string, from: number, to: number) =>
    polls.filter((one) => one.id === id && one.at >= from && one.at < to).length
  return {
    world,
    host,
    newId,
    adopt,
    until,
    end,
    pollsOf,
    ends,
    slow: (ms: number) => (answerMs = ms),
  }
}

/** As after some videos whose webhooks came. */
async function known() {
  const kit = worldOf()
  for (let i = 0; i < 3; i++) {
    const id = kit.adopt()
    await kit.until(kit.world.now + 6_000)
    kit.end(id, true)
    await kit.until(kit.world.now + 1_000)
  }
  return kit
}

it('asks less often while webhooks are known to arrive, and at once when one does', async () => {
  const { world, adopt, until, end, pollsOf, ends } = await known()
  const id = adopt()
  const from = world.now + 10_000
  await until(from + 120_000)
  expect(pollsOf(id, from, from + 120_000)).toBeLessThan(8)
  const at = world.now
  end(id, true)
  await until(at + 1_000)
  expect(ends.get(id)! - at).toBeLessThan(200)
})

it('asks as usual at an account whose webhooks nobody has seen', async () => {
  const { world, adopt, until, pollsOf } = worldOf()
  const id = adopt()
  await until(world.now + 65_000)
  expect(pollsOf(id, 5_000, 65_000)).toBeGreaterThan(10)
})

it('asks everybody as usual again once a webhook was missed', async () => {
  const { world, adopt, until, end, pollsOf } = await known()
  const [lost, other] = [adopt(), adopt()]
  await until(world.now + 60_000)
  end(lost, false)
  // its end is polled within the longer interval, and then its webhook is waited for
  await until(world.now + 30_000)
  const from = world.now
  await until(from + 60_000)
  expect(pollsOf(other, from, from + 60_000)).toBeGreaterThan(10)
})

it('takes an end that was polled just before its webhook for no miss', async () => {
  const { world, host, adopt, until, end, pollsOf } = await known()
  const [early, other] = [adopt(), adopt()]
  await until(world.now + 10_000)
  end(early, false)
  while (host.videos.has(early)) await until(world.now + 100)
  await until(world.now + 2_000)
  host.nudge(early, 'webhook')
  const from = world.now + 10_000
  await until(from + 120_000)
  expect(pollsOf(other, from, from + 120_000)).toBeLessThan(8)
})

it('asks again at once where a webhook comes while a query is open that was answered before it', async () => {
  const { world, adopt, until, end, ends, slow, pollsOf } = await known()
  const id = adopt()
  await until(world.now + 3_000)
  slow(800)
  const polled = pollsOf(id, 0, Infinity)
  while (pollsOf(id, 0, Infinity) === polled) await until(world.now + 100)
  const at = world.now
  end(id, true)
  await until(at + 3_000)
  expect(ends.get(id)! - at).toBeLessThan(2_000)
})

it('asks at once about a video whose webhook came before anybody had it', async () => {
  const { world, newId, adopt, until, end, ends } = worldOf()
  const [told, old] = [newId(), newId()]
  end(old, true)
  await until(world.now + 120_000)
  end(told, true)
  await until(world.now + 1_000)
  // as handed over by a poller that had it polled just before
  adopt(told, 30_000)
  adopt(old, 30_000)
  await until(world.now + 1_000)
  expect([...ends.keys()]).toEqual([told])
})

it('has the end that a webhook told of stored at once, whatever was stored just before', async () => {
  const { world, adopt, until, end, ends } = worldOf()
  const [first, second] = [adopt(), adopt()]
  await until(world.now + 10_000)
  end(first, true)
  await until(world.now + 30)
  const at = world.now
  end(second, true)
  await until(at + 1_000)
  expect(ends.get(second)! - at).toBeLessThan(30)
})
