import { expect, it, vi } from 'vitest'
import { BusUnavailable } from '#libs/bus/bus.ts'
import { pendingKit, sendOf } from '../../test/support/pending-kit.ts'
import { Process, World } from '../../test/simulation/world.ts'
import type { Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import type { SubmitContext } from './context.ts'
import { PendingVideos } from './pending-videos.ts'

it('ends a pending video whose cancel was asked for, or whose time is over, while its create is open', async () => {
  const world = new World(1)
  const { context, create } = pendingKit()
  create.mockImplementation(() => new Promise(() => {}))
  const due = {
    userId: 'u',
    attempt: 1,
    status: 'pending' as const,
    phase: 'queued',
    taskId: null,
    cancelRequested: false,
    untilDeadlineMs: null,
    requestedMs: 0,
  }
  const found = [
    { ...due, id: 'cancelled', cancelRequested: true, waitReason: null },
    { ...due, id: 'late', untilDeadlineMs: -1, waitReason: 'the provider’s rate limit' },
    { ...due, id: 'old', requestedMs: 24 * 3_600_000, waitReason: 'ENOTFOUND' },
  ]
  const failPending = vi.fn<SubmitContext['store']['failPending']>(async () => null)
  Object.assign(context.store, { takeDue: async () => found.splice(0), failPending })
  Object.assign(context, { clock: new Process(world, 'submit').clock, creates: { inc: () => {} } })
  const pending = new PendingVideos(context)
  for (const id of ['cancelled', 'late', 'old']) pending.take({ id })
  while (failPending.mock.calls.length < 3 && world.now < 10_000 && (await world.step()));
  expect(create).toHaveBeenCalled()
  expect(failPending.mock.calls.map(([id, , error]) => [id, error.code])).toEqual([
    ['cancelled', 'cancelled'],
    ['late', 'timed_out'],
    ['old', 'timed_out'],
  ])
  expect(JSON.stringify(failPending.mock.calls)).toContain('It waited: ENOTFOUND.')
})

it('looks at once for what is due after it had nothing in hand for long', async () => {
  const world = new World(1)
  const { context } = pendingKit()
  const takeDue = vi.fn<SubmitContext['store']['takeDue']>(async () => [])
  Object.assign(context.store, { takeDue })
  Object.assign(context, { clock: new Process(world, 'submit').clock })
  const pending = new PendingVideos(context)
  const looksIn = async (ms: number) => {
    const [until, before] = [world.now + ms, takeDue.mock.calls.length]
    while (world.now < until && (await world.step()));
    return takeDue.mock.calls.length - before
  }
  await looksIn(60_000)
  expect(await looksIn(600_000)).toBeLessThan(80)
  pending.lookSoon()
  expect(await looksIn(1_000)).toBeGreaterThan(0)
})

it('reads a user’s video at its turn, however many another user has due', async () => {
  const world = new World(1)
  const { context } = pendingKit()
  const load = vi.fn<SubmitContext['store']['load']>(() => new Promise(() => {}))
  Object.assign(context.store, { load, takeDue: async () => [] })
  const { clock } = new Process(world, 'submit')
  Object.assign(context, { clock, turns: new FairSlots(sharedByHalf(20, clock)) })
  const pending = new PendingVideos(context)
  for (let i = 0; i < 500; i++) pending.take({ id: `many-${i}`, userId: 'many' })
  pending.take({ id: 'one', userId: 'other' })
  await vi.waitFor(() => expect(load).toHaveBeenCalledWith('one'))
  expect(load.mock.calls.length).toBeLessThan(20)
})

const working: TaskAnswer = { kind: 'working', phase: 'queued', progress: null }
it.each([
  ['creates', []],
  ['look-ups', [sendOf({})]],
])('gives the users of one account turns at its %s', async (_, submissions) => {
  const { clock } = new Process(new World(1), 'submit')
  const asked: string[] = []
  const ask = async (ownId: string) => {
    if (asked.length === 0) pending.take({ id: 'few-0', userId: 'few' })
    asked.push(ownId)
    await new Promise((done) => setImmediate(done))
  }
  const provider: Partial<Provider> = {
    create: (_, { ownId }) => ask(ownId).then(() => ({ kind: 'accepted', taskId: 't' })),
    find: (_, { ownId }) =>
      ask(ownId).then(() => ({ answer: working, taskId: 't', rateLimit: null })),
  }
  const { context } = pendingKit({ submissions, provider })
  const { load } = context.store
  const loadOne = async (id: string) => {
    const loaded = (await load('v'))!
    const video = { ...loaded.video, id, userId: id.split('-')[0] }
    return {
      ...loaded,
      video,
      submissions: loaded.submissions.map((one) => ({ ...one, videoId: id })),
    }
  }
  const intend = async (id: string) => ({ video: (await loadOne(id)).video })
  Object.assign(context.store, { load: loadOne, intend, takeDue: async () => [] })
  Object.assign(context, { clock, slots: new FairSlots(sharedByHalf(4, clock)) })
  const pending = new PendingVideos(context)
  for (let i = 0; i < 100; i++) pending.take({ id: `many-${i}`, userId: 'many' })
  await vi.waitFor(() => expect(asked).toHaveLength(101), { timeout: 20_000 })
  expect(asked.findIndex((name) => name.startsWith('few'))).toBeLessThan(20)
})

it.each(['Postgres', 'NATS'])(
  'counts an outage of %s against no video, and goes on when a look finds it again',
  async (server) => {
    const world = new World(1)
    const isNats = server === 'NATS'
    const { context, create } = pendingKit({ video: isNats ? { taskId: 't' } : {} })
    const { load } = context.store
    let isAway = true
    const query = <T>(answer: T) => {
      if (isAway && !isNats)
        throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
      return answer
    }
    const stored = vi.fn<() => void>()
    const tried = vi.fn<() => void>()
    const store = async () => {
      tried()
      if (isAway) throw new BusUnavailable('disconnected')
      stored()
      return 1
    }
    const warn = vi.fn<(about: unknown, words: string) => void>()
    const error = vi.fn<() => void>()
    Object.assign(context.store, {
      load: async (id: string) => query(load(id)),
      takeDue: async () => query([]),
    })
    const { clock } = new Process(world, 'submit')
    const log = { warn, error, info: () => {}, debug: () => {} }
    const bus = { store, isConnected: () => !(isAway && isNats) }
    Object.assign(context, { clock, log, bus })
    const pending = new PendingVideos(context)
    for (let i = 0; i < 100; i++) pending.take({ id: `v-${i}`, userId: 'u' })
    const pass = async (ms: number) => {
      const until = world.now + ms
      while (world.now < until && (await world.step()));
    }
    await pass(600_000)
    const lines = warn.mock.calls.filter(([, words]) => words.includes(`${server} is away`))
    expect([lines.length, error.mock.calls.length]).toEqual([1, 0])
    expect(tried).toHaveBeenCalledTimes(isNats ? 100 : 0)
    isAway = false
    await pass(3_000)
    expect(isNats ? stored : create).toHaveBeenCalledTimes(100)
  },
)
