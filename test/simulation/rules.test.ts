/** Rules that only a rare coincidence would show in a whole world, each by itself. */
import { expect, it } from 'vitest'
import { Ownership } from '#libs/ownership/ownership.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus } from './memory-bus.ts'
import { Process, World } from './world.ts'

const log = createLogger('test', 'silent')

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
  const given = (await within(world, giver.bid('v')))!
  const again = (await within(world, giver.bid('v')))!
  expect(again).toBeGreaterThan(given)
  expect(await within(world, taker.bid('v', { session: giver.session, epoch: given }))).toBeNull()
  expect(
    await within(world, taker.bid('v', { session: giver.session, epoch: again })),
  ).toBeGreaterThan(again)
})

/** A poller's ownership in a world of its own, and a way to have it told of a reconnect. */
function openOwnership(world: World, broker: Broker, name: string, ttlMs = 6_000) {
  const process = new Process(world, name)
  const bus = memoryBus(process, broker, { loss: 0, slow: 0, longest: 10 })
  const reconnected: (() => void)[] = []
  const counting = {
    ...bus,
    isConnected: () => isUp && bus.isConnected(),
    onReconnect: (listener: () => void) => void reconnected.push(listener),
  }
  let isUp = true
  const deaths: string[] = []
  const ownership = new Ownership({
    bus: counting,
    clock: process.clock,
    log,
    name,
    ttlMs,
    owned: () => 0,
    onLost: () => {},
    onPeerDead: (_, stopped) => void deaths.push(stopped ? 'stopped' : 'dead'),
    onOpened: () => {},
    audit: async () => {},
  })
  return {
    ownership,
    process,
    deaths,
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
  await expect(within(world, ownership.bid('v'))).rejects.toThrow('recreated')
  const { session } = ownership
  await wait(2_000)
  expect(ownership.session).not.toBe(session)
  expect([ownership.isLeaseValid(), ownership.mayClaim()]).toEqual([true, false])
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
  expect([ownership.isLeaseValid(), ownership.mayClaim()]).toEqual([true, false])
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
  expect(ownership.isLeaseValid()).toBe(false)
  await wait(1_700)
  expect(ownership.isLeaseValid()).toBe(true)
})

it('declares nobody dead before the longer TTL, nor claims before it, where two are in use', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const slow = openOwnership(world, broker, 'slow', 20_000)
  const quick = openOwnership(world, broker, 'quick', 6_000)
  await within(world, slow.ownership.start())
  await within(world, quick.ownership.start())
  await quick.wait(5_000)
  slow.process.pause()
  while (slow.ownership.isLeaseValid()) {
    expect(quick.deaths).toEqual([])
    await quick.wait(250)
  }
  await quick.wait(6_000)
  expect(quick.deaths).toEqual(['dead'])
})

it('waits for the longest TTL before it claims after a reconnect', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const slow = openOwnership(world, broker, 'slow', 20_000)
  const quick = openOwnership(world, broker, 'quick', 6_000)
  await within(world, slow.ownership.start())
  await within(world, quick.ownership.start())
  await quick.wait(21_000)
  expect(quick.ownership.mayClaim()).toBe(true)
  quick.reconnect()
  await quick.wait(19_000)
  expect(quick.ownership.mayClaim()).toBe(false)
  await quick.wait(1_100)
  expect(quick.ownership.mayClaim()).toBe(true)
})

it('tells a peer that stopped from one that died', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const [one, two, three] = ['one', 'two', 'three'].map((name) =>
    openOwnership(world, broker, name),
  ) as [Opened, Opened, Opened]
  for (const { ownership } of [one, two, three]) await within(world, ownership.start())
  await within(world, one.ownership[Symbol.asyncDispose]())
  await three.wait(100)
  expect(three.deaths).toEqual(['stopped'])
  two.process.kill()
  await three.wait(8_000)
  expect(three.deaths).toEqual(['stopped', 'dead'])
})
type Opened = ReturnType<typeof openOwnership>
