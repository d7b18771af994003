/** On a real nats-server: each version stored once and in order, however many publish it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startNats } from '#services/dev/servers/nats-server.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { outSubject, type OwedEvent, type VideoEvent } from '#libs/scene-video/messages.ts'
import type { Bus } from '#libs/bus/bus.ts'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import {
  LastPublishedCache,
  publishEvents,
  publishOwed,
  type OutboxStore,
} from '#libs/outbox/outbox.ts'
import { ensureTopology, streams } from '#libs/bus/topology.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-bus-'))
let server: LocalServer
let bus: NatsBus

beforeAll(async () => {
  server = await startNats({ dir })
  bus = await connectBus({ url: server.url, name: 'test', log: createLogger('test', 'silent') })
  expect(await ensureTopology(bus, async () => 3)).toBe(true)
  expect(await ensureTopology(bus, async () => 4)).toBe(false)
})
afterAll(async () => {
  await bus?.drain()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const owed = (id: string, version: number, event: string): OwedEvent => ({
  timelineId: BigInt(version),
  event,
  at: '2026-01-01T00:00:00.000Z',
  body: { id, version, status: event === 'completed' ? event : 'pending' } as VideoEvent,
})
/** A store whose marks never arrive: every publisher finds everything owed, as after a crash. */
const forgetful = (events: OwedEvent[]): OutboxStore => ({
  owed: async () => events,
  eventsBetween: async () => [],
  markPublished: async () => {},
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
  expect(newest.take(id)).toBeUndefined() // it has ended
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
