/** Rules that only a rare coincidence would show in a whole world, each by itself. */
import { expect, it, vi } from 'vitest'
import { Ownership } from '#libs/ownership/lease.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { Claims, type ClaimsOptions } from '#services/poller/claims.ts'
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
