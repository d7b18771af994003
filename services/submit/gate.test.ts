/** Several submits with one account, over what they share, in a world whose time is passed in. */
import { expect, it } from 'vitest'
import type { Budget, CreateAnswer } from '#libs/provider/provider.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { MemoryProviderAccounts } from '../../test/simulation/memory-provider-accounts.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Gate } from './gate.ts'

const log = createLogger('test', 'silent')
/** As each judges by itself. */
const silent = { publishCore: () => {}, subscribe: () => ({ stop: () => {} }) }
const accepted: CreateAnswer = { kind: 'accepted', taskId: 't' }
const failed: CreateAnswer = { kind: 'unknown', reason: '500' }
const refused: CreateAnswer = { kind: 'refused', error: { code: 'content_policy', message: 'x' } }
const over: CreateAnswer = { kind: 'later', retryAfterMs: 1_000, reason: '429', isOverLimit: true }

const at = (id: string, set: Budget = {}) => ({
  account: { id, formerIds: [], baseUrl: 'https://example.com/v1' },
  provider: { name: 'toapis', budgets: { usual: {}, set } },
})

function worldOf(submits: number) {
  const world = new World(1)
  const store = new MemoryProviderAccounts(() => world.now)
  const gates = Array.from({ length: submits }, (_, i) => {
    const { clock } = new Process(world, `submit-${i + 1}`)
    return { gate: new Gate({ clock, log, bus: silent, store }), clock }
  })
  const until = async (ms: number) => {
    await new Promise((done) => setImmediate(done)) // what was begun has set its timers
    while (world.now < ms && (await world.step()));
  }
  return { world, gates, until }
}

/** Videos that are sent as soon as they may be; when each was, and whose. */
function senders(
  { world, gates }: ReturnType<typeof worldOf>,
  account: ReturnType<typeof at>,
  answer: (now: number) => CreateAnswer = () => accepted,
) {
  const sent: { at: number; userId: string }[] = []
  const attempts = { count: 0 }
  const start = (userId: string, count: number) => {
    for (let i = 0; i < count; i++) {
      const { gate, clock } = gates[i % gates.length]!
      const video = { id: `${userId}-${i}`, userId, attempt: 1 }
      // one at a time, as its row has one time at which it is due
      let cancel = () => {}
      let isBusy = false
      const again = (ms: number) => void (cancel = clock.after(ms, () => void turn()))
      const attempt = async (): Promise<void> => {
        attempts.count++
        const wait = await gate.enter(account, video)
        if (wait) return again(Math.min(60_000, wait.ms))
        const passage = await gate.pass(account, video)
        if (passage.kind === 'wait') return again(passage.ms)
        const said = answer(world.now)
        await gate.answered(account, said, { video: video.id, wasTried: passage.kind === 'try' })
        if (said.kind !== 'accepted') return again(1_000)
        sent.push({ at: world.now, userId })
        turns.delete(video.id)
      }
      const turn = async () => {
        if (isBusy) return
        cancel()
        isBusy = true
        await attempt().finally(() => (isBusy = false))
      }
      turns.set(video.id, turn)
      void turn()
    }
  }
  const turns = new Map<string, () => Promise<void>>()
  for (const { gate } of gates) gate.onFree(({ id }) => void turns.get(id)?.())
  return { sent, start, attempts }
}

/** The most that were sent within any minute. */
const mostInAMinute = (times: number[]) =>
  Math.max(...times.map((from) => times.filter((one) => one >= from && one < from + 60_000).length))

it.each([60, 10, 600])(
  'keeps two submits to %i creates a minute, and uses them',
  async (perMinute) => {
    const world = worldOf(2)
    const { sent, start, attempts } = senders(world, at('a', { createPerMinute: perMinute }))
    start('u', perMinute * 4)
    await world.until(180_000)
    const times = sent.map((one) => one.at)
    expect(mostInAMinute(times)).toBeLessThanOrEqual(perMinute)
    expect(times.length).toBeGreaterThanOrEqual(perMinute * 3 * 0.9)
    // what waits is quiet
    expect(attempts.count).toBeLessThan(perMinute * 4 * 6)
  },
)

it('gives users turns: who has one video waits for none of the thousand of another', async () => {
  const world = worldOf(1)
  const { sent, start } = senders(world, at('a', { createPerMinute: 60 }))
  start('many', 1_000)
  await world.until(30_000)
  start('one', 1)
  await world.until(35_000)
  expect(sent.filter(({ userId }) => userId === 'one')).toHaveLength(1)
})

it('gives what one of a full account did not fetch to the next', async () => {
  const world = worldOf(1)
  const [{ gate }] = world.gates as [(typeof world.gates)[0]]
  const account = at('a', { createPerMinute: 60 })
  const woken: string[] = []
  gate.onFree(({ id }) => void woken.push(id))
  const enter = (id: string) => gate.enter(account, { id, userId: id, attempt: 1 })
  for (let i = 0; i < 10; i++) await enter(`v${i}`)
  await world.until(30_000)
  expect(woken.length).toBe(7)
})

it('keeps to places for tasks at work', async () => {
  const world = worldOf(2)
  const { sent, start } = senders(world, at('a', { parallelTasks: 3 }))
  start('u', 20)
  await world.until(60_000)
  expect(sent).toHaveLength(3)
})

it('lets those go that hold a place, whoever came before them', async () => {
  const world = worldOf(2)
  const [dies, next] = world.gates as [(typeof world.gates)[0], (typeof world.gates)[0]]
  const account = at('a', { parallelTasks: 2 })
  const enter = ({ gate }: typeof dies, id: string) =>
    gate.enter(account, { id, userId: id, attempt: 1 })
  expect(await enter(dies, 'a')).toBeNull()
  expect(await enter(dies, 'b')).toBeNull()
  // that process died before it sent them
  expect(await enter(next, 'c')).not.toBeNull()
  const woken: string[] = []
  next.gate.onFree(({ id }) => void woken.push(id))
  expect(await enter(next, 'b')).not.toBeNull()
  expect(await enter(next, 'a')).not.toBeNull()
  await world.until(4_000)
  expect(woken.sort()).toEqual(['a', 'b'])
  expect(await enter(next, 'a')).toBeNull()
})

it('sends less to an account that refuses without telling a limit', async () => {
  const world = worldOf(2)
  const recent: number[] = []
  let refusals = 0
  const limit = (now: number) => {
    while (recent.length > 0 && recent[0]! <= now - 60_000) recent.shift()
    if (recent.length >= 60) return (refusals++, over)
    recent.push(now)
    return accepted
  }
  const { sent, start } = senders(world, at('a'), limit)
  start('u', 2_000)
  await world.until(900_000)
  const steady = sent.filter((one) => one.at > 300_000).length
  expect(steady).toBeGreaterThan(600 * 0.6)
  expect(refusals).toBeLessThan(4_000)
})

it('makes little of one refusal, though it has sent nothing before', async () => {
  const world = worldOf(1)
  let refusals = 0
  const { sent, start } = senders(world, at('a'), () => (refusals++ ? accepted : over))
  start('first', 1)
  await world.until(500)
  start('u', 300)
  await world.until(180_000)
  expect(sent).toHaveLength(301)
})

it('makes one refusal of those that come together', async () => {
  const world = worldOf(1)
  const [{ gate }] = world.gates as [(typeof world.gates)[0]]
  const account = at('a')
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      gate.answered(account, over, { video: `v${i}`, wasTried: false }),
    ),
  )
  const { sent, start } = senders(world, account)
  start('u', 100)
  await world.until(120_000)
  expect(sent).toHaveLength(100)
})

it('uses an account that refuses now and then', async () => {
  const world = worldOf(2)
  let asked = 0
  const { sent, start } = senders(world, at('a'), () => (++asked % 50 === 0 ? over : accepted))
  for (let minute = 0; minute < 10; minute++) {
    start(`u${minute}`, 90)
    await world.until((minute + 1) * 60_000)
  }
  expect(sent.length).toBeGreaterThan(900 * 0.95)
})

it('opens a circuit where creates fail widely, tries one at a time, and closes by itself', async () => {
  const world = worldOf(2)
  let isDown = true
  const tries: number[] = []
  const answer = (now: number) => (tries.push(now), isDown ? failed : accepted)
  const { sent, start } = senders(world, at('a'), answer)
  start('u', 100)
  const other = senders(world, at('b'))
  await world.until(300_000)
  // all of the first were under way at once; from then on one a minute or so
  expect(tries.filter((one) => one > 5_000).length).toBeLessThan(12)
  other.start('v', 1)
  await world.until(300_100)
  expect(other.sent).toHaveLength(1)
  isDown = false
  // one more wait for the next that is tried
  await world.until(370_000)
  expect(sent).toHaveLength(100)
})

it('takes no refusal for a failure, and no single fault for many', async () => {
  const world = worldOf(1)
  const [{ gate }] = world.gates as [(typeof world.gates)[0]]
  const account = at('a')
  let videos = 0
  const waiting = { id: 'w', userId: 'u', attempt: 1 }
  const tell = async (answer: CreateAnswer, count: number) => {
    for (let i = 0; i < count; i++)
      await gate.answered(account, answer, { video: `v${videos++}`, wasTried: false })
  }
  await tell(refused, 20)
  await tell(failed, 4)
  expect(await gate.pass(account, waiting)).toEqual({ kind: 'free' })
  // five, but of twenty
  await tell(accepted, 15)
  await tell(failed, 5)
  expect(await gate.pass(account, waiting)).toEqual({ kind: 'free' })
  // one that fails again and again
  for (let i = 0; i < 40; i++)
    await gate.answered(account, failed, { video: 'poison', wasTried: false })
  expect(await gate.pass(account, waiting)).toEqual({ kind: 'free' })
  await tell(failed, 5)
  expect(await gate.pass(account, waiting)).toMatchObject({ kind: 'wait', reason: /circuit open/ })
})
