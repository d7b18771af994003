/** What the reconciler takes from whom, each case by itself. */
import { expect, it } from 'vitest'
import { listen } from '#libs/bus/rpc.ts'
import { Ownership } from '#libs/ownership/ownership.ts'
import { ownerRecords } from '#libs/ownership/records.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { nudgeSchema, nudgeSubject } from '#libs/scene-video/messages.ts'
import { answerAsks } from '#services/poller/answer-asks.ts'
import { reconcile } from '#services/reconciler/reconcile.ts'
import { tellPromises } from '#services/reconciler/tell-promises.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus } from './memory-bus.ts'
import { MemoryOutbox } from './memory-outbox.ts'
import { Process, World } from './world.ts'

const log = createLogger('test', 'silent')

/** The result, with the world going on until it is there. */
async function within<T>(world: World, promise: Promise<T>): Promise<T> {
  let done = false
  void promise.finally(() => (done = true)).catch(() => {})
  while (!done && (await world.step()));
  return promise
}

function openOwner(world: World, broker: Broker) {
  const process = new Process(world, 'owner')
  const bus = memoryBus(process, broker, { loss: 0, slow: 0, longest: 10 })
  const ownership = new Ownership({
    bus,
    clock: process.clock,
    log,
    name: 'owner',
    ttlMs: 6_000,
    owned: () => 0,
    onLost: () => {},
    onPeerDead: () => {},
    onOpened: () => {},
    audit: async () => {},
  })
  const wait = (ms: number) => within(world, sleep(ms, undefined, process.clock))
  return { ownership, bus, wait }
}

/** A reconciler's passes over one stale video that a live session owns. */
async function staleUnderOwner(
  answer: ((id: string) => boolean) | null,
  ended: (ids: string[]) => string[] = () => [],
) {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const { ownership, bus, wait } = openOwner(world, broker)
  await within(world, ownership.start())
  const id = crypto.randomUUID()
  const epoch = (await within(world, ownership.bid(id)))!.toString()
  if (answer)
    answerAsks(bus, ownership.session, { get: () => (answer(id) ? { epoch } : undefined) }, log)
  const revocations: unknown[] = []
  listen(bus, nudgeSubject('*'), nudgeSchema, (nudge) => {
    if (nudge.reason === 'revoked') revocations.push(nudge)
  })
  const options = {
    bus,
    log,
    staleAfterMs: 1,
    resultLifeMs: 1,
    eventDays: 1,
    forgotten: { after: 0n },
    first: false,
    suspects: new Map<string, bigint>(),
    outbox: new MemoryOutbox(() => world.now),
    recovery: {
      pendingVideos: async () => [],
      videosWithOpenTask: async () => [],
      staleVideos: async () => [{ id, taskId: 't', epoch: BigInt(epoch) }],
      unkeptPromises: async () => ({ unkept: [], anyInHand: false }),
      ended: async (ids: string[]) => ended(ids),
      unsettledVideos: async () => [],
      highestEpoch: async () => 0n,
      raiseGeneration: async () => 1,
      forgetOldKeys: async () => 0,
      forgetOldSnapshots: async (after: bigint) => ({ after, rows: 0 }),
    },
  }
  const ownedAfterPass = async () => {
    await within(world, reconcile(options))
    await wait(1_000)
    return (await within(world, ownerRecords(bus))).length
  }
  return { id, epoch, revocations, passes: [await ownedAfterPass(), await ownedAfterPass()] }
}

it('takes nothing from an owner that has it in hand, however long nothing is recorded', async () => {
  const { passes, revocations } = await staleUnderOwner(() => true)
  expect([passes, revocations]).toEqual([[1, 1], []])
})

it.each([
  ['does not host it', () => false],
  ['does not answer', null],
])('takes a video, at the second pass, from an owner that %s', async (_, answer) => {
  const { id, epoch, passes, revocations } = await staleUnderOwner(answer)
  expect([passes, revocations]).toEqual([[1, 0], [{ id, reason: 'revoked', epoch }]])
})

it('removes the owner record of a video that has ended, whoever left it', async () => {
  const { passes } = await staleUnderOwner(
    () => true,
    (ids) => ids,
  )
  expect(passes).toEqual([0, 0])
})

it('tells owners again what was promised of their videos', async () => {
  const world = new World(1)
  const broker = new Broker(world)
  broker.ensure(() => 1)
  const { bus, wait } = openOwner(world, broker)
  const told: unknown[] = []
  listen(bus, nudgeSubject('*'), nudgeSchema, (nudge) => told.push(nudge))
  const [late, unwanted] = [crypto.randomUUID(), crypto.randomUUID()]
  await tellPromises(bus, {
    unkeptPromises: async () => ({
      unkept: [
        { id: unwanted, promise: 'cancel' },
        { id: late, promise: 'deadline' },
      ],
      anyInHand: true,
    }),
  })
  await wait(100)
  expect(new Set(told)).toEqual(
    new Set([
      { id: unwanted, reason: 'cancel' },
      { id: late, reason: 'stale' },
    ]),
  )
})
