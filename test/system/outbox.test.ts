/** On a real nats-server: each version stored once and in order, however many publish it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startNats } from '#services/dev/servers/nats-server.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { publishWork } from '#libs/bus/work.ts'
import { outSubject, settleWorkSubject, type VideoEvent } from '#libs/scene-video/messages.ts'
import type { Bus } from '#libs/bus/bus.ts'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import {
  publishEvents,
  publishOwed,
  requeueLostEvents,
  type OutboxStore,
} from '#libs/outbox/outbox.ts'
import { LastPublishedCache } from '#libs/outbox/last-published.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { applySettings, ensureTopology, remakeOwnership } from '#libs/bus/topology.ts'
import { forgetful, logOf, owed } from '../support/owed-events.ts'
import { until } from '../support/system.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-bus-'))
const settings = { eventDays: 7, replicas: 1 }
let server: LocalServer
let bus: NatsBus

beforeAll(async () => {
  server = await startNats({ dir })
  bus = await connectBus({
    config: { NATS_URL: server.url },
    name: 'test',
    log: createLogger('test', 'silent'),
  })
  expect(await ensureTopology(bus, settings, async () => 3)).toBe(true)
  expect(await ensureTopology(bus, settings, async () => 4)).toBe(false)
})
afterAll(async () => {
  await bus?.drain()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

async function stored(id: string): Promise<number[]> {
  await new Promise((resolve) => setTimeout(resolve, 300))
  const versions: number[] = []
  const consumer = await bus.js.consumers.get(streams.video)
  let left = (await consumer.info()).num_pending
  const messages = await consumer.consume()
  for await (const message of messages) {
    const body = message.json<VideoEvent>()
    if (body.id === id) versions.push(body.version)
    if (--left <= 0) break
  }
  messages.stop()
  return versions
}

/** As a power failure takes what was acknowledged last. */
async function lose(id: string): Promise<void> {
  const newest = await bus.newest(streams.outbox, outSubject('*', id))
  await (await bus.manager()).streams.deleteMessage(streams.outbox, newest!.sequence)
}

it('stores an event once when many publish it at the same time and again later', async () => {
  const id = crypto.randomUUID()
  const events = [
    owed(id, 1, 'requested'),
    owed(id, 2, 'submitted'),
    owed(id, 3, 'generating'),
    owed(id, 4, 'completed'),
  ]
  for (let known = 1; known <= events.length; known++) {
    const some = forgetful(events.slice(0, known))
    const last = forgetful(events.slice(known - 1, known))
    await Promise.allSettled(
      [...Array(5).fill(some), ...Array(5).fill(last)].map((store: OutboxStore) =>
        publishOwed(bus, store, [id]),
      ),
    )
    await publishOwed(bus, last, [id])
  }
  expect(await stored(id)).toEqual([1, 2, 3, 4])
})

it('asks the server for nothing that it published itself, and is told when somebody else went on', async () => {
  const id = crypto.randomUUID()
  const events = ['requested', 'submitted', 'generating', 'progress', 'completed'].map((event, i) =>
    owed(id, i + 1, event),
  )
  let asked = 0
  const counting: Bus = { ...bus, newest: (...of) => (asked++, bus.newest(...of)) }
  const newest = new LastPublishedCache(bus)
  for (const event of events.slice(0, 3))
    await publishEvents(counting, forgetful([]), [event], newest)
  expect(asked).toBe(0)
  await publishEvents(bus, forgetful([]), [events[3]!])
  await publishEvents(counting, forgetful([]), [events[3]!], newest)
  await publishEvents(counting, forgetful([]), [events[4]!], newest)
  expect(asked).toBe(1)
  expect(newest.take(owed(id, 6, 'requested'))).toBeUndefined() // it has ended
  expect(await stored(id)).toEqual([1, 2, 3, 4, 5])
})

it('asks the server anew after a reconnect, which may have lost what was published', async () => {
  const id = crypto.randomUUID()
  const [first, second] = [owed(id, 1, 'requested'), owed(id, 2, 'submitted')]
  const reconnected: (() => void)[] = []
  const newest = new LastPublishedCache({
    onReconnect: (listener) => void reconnected.push(listener),
  })
  await publishEvents(bus, forgetful([]), [first], newest)
  await lose(id)
  for (const listener of reconnected) listener()
  await publishEvents(
    bus,
    { ...forgetful([]), eventsBetween: async () => [first] },
    [second],
    newest,
  )
  expect((await bus.newest(streams.outbox, outSubject('*', id)))?.header('ce-id')).toBe(`${id}:2`)
})

it('publishes nothing of a video when the stream loses its events meanwhile: a gap would stay', async () => {
  const id = crypto.randomUUID()
  const events = ['requested', 'submitted', 'generating'].map((event, i) => owed(id, i + 1, event))
  const losing: Bus = {
    ...bus,
    async store(subject, data, options) {
      const sequence = await bus.store(subject, data, options)
      if (subject === outSubject('submitted', id)) await lose(id)
      return sequence
    },
  }
  await expect(publishEvents(losing, forgetful([]), events)).rejects.toThrow('gone back')
  expect((await bus.newest(streams.outbox, outSubject('*', id)))?.header('ce-id')).toBe(`${id}:1`)
})

it('publishes what was left owed before it', async () => {
  const id = crypto.randomUUID()
  const first = owed(id, 1, 'requested')
  await publishEvents(
    bus,
    { ...forgetful([]), eventsBetween: async () => [first] },
    [owed(id, 2, 'submitted')],
    new LastPublishedCache(bus),
  )
  expect(await stored(id)).toEqual([1, 2])
})

it('starts a bucket’s revisions above every epoch of an earlier generation', async () => {
  const manager = await bus.manager()
  expect((await manager.streams.info(streams.ownership)).config).toMatchObject({
    first_seq: 3 * 2 ** 32,
  })
})

it('takes nothing for lost that has had its days, and what is lost beside it still', async () => {
  const [old, recent] = [crypto.randomUUID(), crypto.randomUUID()]
  const rows: { id: string; version: number; sequence: number }[] = []
  const publish = async (id: string, version: number, event: string) => {
    await publishEvents(bus, forgetful([]), [owed(id, version, event)])
    rows.push({ id, version, sequence: (await bus.stateOf(streams.outbox)).lastSequence })
  }
  for (const [i, event] of ['requested', 'submitted', 'generating', 'failed'].entries())
    await publish(old, i + 1, event)
  const manager = await bus.manager()
  const { config } = await manager.streams.info(streams.outbox)
  await manager.streams.update(streams.outbox, {
    ...config,
    max_age: 1e9,
    duplicate_window: 1e9,
  })
  await until(
    'its days to pass',
    async () => (await manager.streams.info(streams.outbox)).state.messages === 0 || undefined,
  )
  await manager.streams.update(streams.outbox, { ...config, max_age: 3_600e9 })
  for (const [i, event] of ['requested', 'submitted', 'generating'].entries())
    await publish(recent, i + 1, event)
  const { log, owedAgain } = logOf(rows)
  expect(await requeueLostEvents(bus, log)).toBe(0)
  await lose(recent)
  expect(await requeueLostEvents(bus, log)).toBe(1)
  expect(owedAgain).toEqual([{ videoId: recent, version: 3 }])

  // a retry, after all of its former attempt has had its days
  const brought: number[] = []
  const remembering: OutboxStore = {
    ...forgetful([]),
    eventsBetween: async (_id, above, below, since) => {
      const between = rows.filter(
        (row) =>
          row.id === old && row.version > above && row.version < below && row.sequence >= since,
      )
      brought.push(...between.map((row) => row.version))
      return between.map((row) => owed(old, row.version, 'progress'))
    },
  }
  await publishEvents(bus, remembering, [owed(old, 5, 'requested')])
  expect(brought).toEqual([])
})

it('delivers a job again after its delay, also one that is no whole number of milliseconds', async () => {
  const id = crypto.randomUUID()
  await publishWork(bus, settleWorkSubject(id), { id })
  const at: number[] = []
  await using _consuming = bus.consume(streams.work, consumers.settle, 10, async (job) => {
    at.push(performance.now())
    if (at.length === 1) job.nak(1_500.123_456_7)
    else job.ack()
  })
  await until('the second delivery', () => at[1])
  expect(at[1]! - at[0]!).toBeGreaterThan(1_400)
})

it('applies changed settings to streams that are there, and keeps them when it makes one anew', async () => {
  const changed = { eventDays: 3, replicas: 1 }
  const daysOf = async (stream: string) =>
    (await (await bus.manager()).streams.info(stream)).config.max_age / (24 * 3_600e9)
  expect(await daysOf(streams.video)).toBe(7)
  await applySettings(bus, changed)
  expect([await daysOf(streams.video), await daysOf(streams.outbox)]).toEqual([3, 3])
  const before = await bus.stateOf(streams.outbox)
  await (await bus.manager()).streams.delete(streams.video)
  await remakeOwnership(bus, changed, async () => 9)
  expect(await daysOf(streams.video)).toBe(3)
  expect(await bus.stateOf(streams.outbox)).toMatchObject({
    generation: before.generation,
    lastSequence: before.lastSequence,
  })
})
