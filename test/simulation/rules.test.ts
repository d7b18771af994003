/** Rules that only a rare coincidence would show in a whole world, each by itself. */
import { expect, it, vi } from 'vitest'
import { Ownership } from '#libs/ownership/lease.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { Claims, type ClaimsOptions } from '#services/poller/claims.ts'
import { Absences } from '#services/submit/look-up.ts'
import { submitVideo, type SubmitContext } from '#services/submit/submit-video.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus } from './memory-bus.ts'
import { Process, World } from './world.ts'

const log = createLogger('test', 'silent')

const grantOf = (id: string) => ({
  id,
  epoch: '7',
  attempt: 1,
  status: 'pending',
  phase: 'submitted',
  progress: null,
  provider: 'toapis',
  model: 'm',
  taskId: 't',
  baseUrl: 'https://example.com/v1',
  keyCipher: '',
  reportNo: 0,
  cancelRequested: false,
  sinceSubmittedMs: 0,
  untilDeadlineMs: null,
})

/** The result, with the world going on until it is there. */
async function within<T>(world: World, promise: Promise<T>): Promise<T> {
  let done = false
  void promise.finally(() => (done = true)).catch(() => {})
  while (!done && (await world.step()));
  return promise
}

it('takes no video by a consent that was given for an earlier epoch', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const open = async (name: string) => {
    const { ownership } = openOwnership(world, broker, name)
    await within(world, ownership.start())
    return ownership
  }
  const [giver, taker] = [await open('giver'), await open('taker')]
  const given = (await within(world, giver.claim('v')))!
  const again = (await within(world, giver.claim('v')))!
  expect(again).toBeGreaterThan(given)
  expect(await within(world, taker.claim('v', { session: giver.session, epoch: given }))).toBeNull()
  expect(
    await within(world, taker.claim('v', { session: giver.session, epoch: again })),
  ).toBeGreaterThan(again)
})

/** A poller's ownership in a world of its own, and a way to have it told of a reconnect. */
function openOwnership(world: World, broker: Broker, name: string) {
  const process = new Process(world, name)
  const bus = memoryBus(process, broker, { loss: 0, slow: 0, longest: 10 })
  const reconnected: (() => void)[] = []
  const counting = {
    ...bus,
    isConnected: () => isUp && bus.isConnected(),
    onReconnect: (listener: () => void) => void reconnected.push(listener),
  }
  let isUp = true
  const ownership = new Ownership({
    bus: counting,
    clock: process.clock,
    log,
    name,
    ttlMs: 6_000,
    owned: () => 0,
    onLost: () => {},
    onPeerDead: () => {},
    onAudit: () => {},
  })
  return {
    ownership,
    wait: (ms: number) => within(world, sleep(ms, undefined, process.clock)),
    disconnect: () => void (isUp = false),
    reconnect() {
      isUp = true
      for (const listener of reconnected) listener()
    },
  }
}

it('claims nothing for one TTL after its start, unless the bucket is the very first and as young', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const first = openOwnership(world, broker, 'first')
  await within(world, first.ownership.start())
  expect(first.ownership.mayClaim()).toBe(true)
  await first.wait(6_000)
  const second = openOwnership(world, broker, 'second')
  await within(world, second.ownership.start())
  expect(second.ownership.mayClaim()).toBe(false)
  await second.wait(6_001)
  expect(second.ownership.mayClaim()).toBe(true)
})

it('claims nothing under a session of a lost bucket, and for one TTL in the new one', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const { ownership, wait } = openOwnership(world, broker, 'a')
  await within(world, ownership.start())
  await wait(10_000)
  broker.wipe()
  broker.ensure(() => 2)
  expect(ownership.mayClaim()).toBe(true) // it has not heard of it
  await expect(within(world, ownership.claim('v'))).rejects.toThrow('made anew')
  const { session } = ownership
  await wait(2_000)
  expect(ownership.session).not.toBe(session)
  expect([ownership.isTrusted(), ownership.mayClaim()]).toEqual([true, false])
  await wait(4_100)
  expect(ownership.mayClaim()).toBe(true)
})

it('claims nothing for one TTL after a reconnect, and keeps its trust', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const { ownership, wait, reconnect } = openOwnership(world, broker, 'a')
  await within(world, ownership.start())
  reconnect()
  await wait(5_900)
  expect([ownership.isTrusted(), ownership.mayClaim()]).toEqual([true, false])
  await wait(200)
  expect(ownership.mayClaim()).toBe(true)
})

it('does not trust a session whose trust had lapsed until one TTL after the reconnect: a server that has gone back forgets that it was declared dead', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const { ownership, wait, disconnect, reconnect } = openOwnership(world, broker, 'a')
  await within(world, ownership.start())
  disconnect()
  await wait(6_000)
  reconnect()
  await wait(5_900)
  expect(ownership.isTrusted()).toBe(false)
  await wait(1_700)
  expect(ownership.isTrusted()).toBe(true)
})

it('does not act on a claim that was written before a reconnect: the server may have lost it', async () => {
  const id = crypto.randomUUID()
  let now = 0
  const ownership = {
    session: 's',
    connection: 0,
    mayClaim: () => true,
    claim: async () => (ownership.connection++, 7n),
    release: async () => {},
  }
  const host = { videos: new Map(), adopt: vi.fn() }
  const clock = {
    now: () => now,
    random: () => 0.5,
    after: (ms: number, then: () => void) => ((now += ms), queueMicrotask(then), () => {}),
  }
  const bus = { request: async () => ({ grants: [grantOf(id)] }) }
  const claims = new Claims({ bus, clock, ownership, host, log } as unknown as ClaimsOptions)
  expect(await claims.bid(id)).toBe('undecided')
  expect(host.adopt).not.toHaveBeenCalled()
  ownership.claim = async () => 8n
  expect(await claims.bid(id)).toBe('granted')
})

it('sends no later attempt before an earlier one, whose send a restored Postgres had forgotten, is looked up', async () => {
  const key: Keyring = [Buffer.alloc(32, 1)]
  const [restoredAt, after] = [new Date(1_000), new Date(2_000)]
  const pins = {
    provider: 'toapis',
    baseUrl: 'https://example.com/v1',
    keyCipher: encrypt('sk-x', key),
  }
  const send = {
    ...pins,
    videoId: 'v',
    send: 1,
    answer: null,
    taskId: null,
    outcome: null,
    settledAt: null,
    intentAt: after,
  }
  const submissions = [{ ...send, attempt: 2, answer: 'later' }]
  const video = {
    id: 'v',
    status: 'pending',
    attempt: 2,
    provider: 'toapis',
    taskId: null,
    restoredAt,
    cancelRequested: false,
    params: {},
    model: 'm',
    prompt: 'p',
  }
  const create = vi.fn()
  const accepted = vi.fn(async () => 'taken')
  const context = {
    config: {
      SEND_WINDOW_MS: 1_000,
      LOOKUP_WINDOW_MS: 6_000,
      KEY_ENCRYPTION_KEY: key,
      TOAPIS_BASE_URL: pins.baseUrl,
      TOAPIS_API_KEY: 'sk-x',
    },
    log,
    clock: { now: () => 0, random: () => 0.5 },
    throttledUntil: new Map(),
    absences: new Absences(),
    lookups: { inc: () => {} },
    bus: { store: async () => 1 },
    publish: async () => {},
    provider: {
      name: 'toapis',
      can: { findByOwnId: true },
      create,
      find: async () => ({ answer: { kind: 'working' }, taskId: 'paid-before', rateLimit: null }),
    },
    store: {
      load: async () => ({
        video,
        submissions: [...submissions],
        config: null,
        ageMs: submissions.map(() => 0),
        untilDeadlineMs: null,
      }),
      touch: async () => {},
      accepted,
      intend: async () => true,
      addDoubtfulIntentsAfterRestore: async () =>
        submissions.length === 1
          ? submissions.unshift({ ...send, attempt: 1, answer: null as never })
          : 0,
    },
  } as unknown as SubmitContext
  await expect(submitVideo(context, 'v')).rejects.toThrow('again in')
  await submitVideo(context, 'v')
  expect(create).not.toHaveBeenCalled()
  expect(accepted).toHaveBeenCalledWith('v', 1, 1, 'paid-before', 'adopted')
})

/** A first send about to happen, whose intent is written as `intend` says. */
function aboutToSend(intend: () => boolean, now = () => 0) {
  const key: Keyring = [Buffer.alloc(32, 1)]
  const video = {
    id: 'v',
    status: 'pending',
    attempt: 1,
    provider: 'toapis',
    taskId: null,
    restoredAt: null,
    cancelRequested: false,
    params: {},
    model: 'm',
    prompt: 'p',
  }
  const create = vi.fn(async () => ({ kind: 'accepted', taskId: 't' }))
  const answered = vi.fn(async () => {})
  const context = {
    config: {
      SEND_WINDOW_MS: 1_000,
      LOOKUP_WINDOW_MS: 6_000,
      KEY_ENCRYPTION_KEY: key,
      TOAPIS_BASE_URL: 'https://example.com/v1',
      TOAPIS_API_KEY: 'sk-x',
    },
    log,
    clock: { now, random: () => 0.5 },
    throttledUntil: new Map(),
    provider: { name: 'toapis', create },
    store: {
      load: async () => ({
        video,
        submissions: [],
        config: { baseUrl: 'https://example.com/v1', keyCipher: encrypt('sk-x', key) },
        ageMs: [],
        untilDeadlineMs: null,
      }),
      touch: async () => {},
      answered,
      intend: async () => intend(),
    },
  } as unknown as SubmitContext
  return { context, create, answered }
}

it('sends nothing when writing the intent took longer than the send window', async () => {
  let now = 0
  const { context, create, answered } = aboutToSend(
    () => ((now += 1_001), true),
    () => now,
  )
  await expect(submitVideo(context, 'v')).rejects.toThrow('again in 0 ms')
  expect(create).not.toHaveBeenCalled()
  expect(answered).toHaveBeenCalledWith('v', 1, 1, 'later', expect.any(String))
})

it('sends nothing when somebody else won the intent', async () => {
  const { context, create } = aboutToSend(() => false)
  await expect(submitVideo(context, 'v')).rejects.toThrow('again in')
  expect(create).not.toHaveBeenCalled()
})
