/**
 * The simulation's broker behaves as nats-server: the same random operations on both, with the same
 * answers.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Bus, Job } from '#libs/bus/bus.ts'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { pause, until } from '../support/system.ts'
import { said, seed } from './conformance.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus } from './memory-bus.ts'
import { Process, World } from './world.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-conformance-'))
chmodSync(dir, 0o755)
afterAll(() => rmSync(dir, { recursive: true, force: true }))

interface Choice {
  subject: string
  expect?: number
  wildcard: boolean
  purge: boolean
  text: string
}

/** One operation on either broker; its answer. */
const operate = (bus: Bus, operation: number, choice: Choice) =>
  said(async () => {
    const { subject, expect: sequence, wildcard, purge, text } = choice
    const found = (message: { subject: string; sequence: number; data: Uint8Array } | null) =>
      message && [message.subject, message.sequence, Buffer.from(message.data).toString()]
    if (operation === 0)
      return found(
        await bus.newest(
          subject.startsWith('$KV') ? streams.ownership : streams.outbox,
          subject.startsWith('$KV') ? subject : `video.out.*.${subject.at(-1)}`,
        ),
      )
    if (operation === 1)
      return (await bus.newestOfEach(streams.ownership, '$KV.OWNERSHIP.owner.*'))
        .map((message) => JSON.stringify(found(message)))
        .toSorted()
    const expectation =
      sequence === undefined
        ? {}
        : {
            expect: {
              sequence,
              ...(wildcard ? { subject: `video.out.*.${subject.at(-1)}` } : {}),
            },
          }
    const headers: Record<string, string> = purge
      ? { 'KV-Operation': 'PURGE', 'Nats-Rollup': 'sub' }
      : {}
    return bus.store(subject, purge ? '' : text, { headers, ...expectation })
  })

function choose(world: World, subject: string, i: number, known: number[]): [number, Choice] {
  const isKey = subject.startsWith('$KV')
  const operation = subject.startsWith('video.work') ? 2 : world.pick([0, 1, 2, 2, 2])
  const sequence = world.chance(0.4)
    ? undefined
    : world.chance(0.5)
      ? known.at(-1)
      : world.pick(known)
  const choice = {
    subject,
    text: JSON.stringify({ i }),
    wildcard: subject.startsWith('video.out'),
    purge: isKey && world.chance(0.2),
    ...(sequence === undefined || subject.startsWith('video.work')
      ? {}
      : { expect: world.chance(0.3) ? 0 : sequence }),
  }
  return [operation, choice]
}

/** Takes what submit is given: some at once, some at the third time, some never. */
const begin = (bus: Bus) => {
  const seen: string[] = []
  const plan = (job: Job) => {
    seen.push(`${job.subject} ${job.deliveries}`)
    if (job.subject.endsWith('.m')) return job.deliveries < 3 ? job.nak(50) : job.ack()
    if (job.subject.endsWith('.n')) return job.term()
    return job.ack()
  }
  return {
    seen,
    consuming: bus.consume(streams.work, consumers.submit, 10, async (job) => plan(job)),
  }
}

describe(`the broker in memory, seed ${seed}`, () => {
  const world = new World(seed)
  const broker = new Broker(world)
  const memory = memoryBus(new Process(world, 'test'), broker, { loss: 0, slow: 0, longest: 0 })
  let server: LocalServer
  let real: NatsBus

  /** Lets the world run until the answer is there. */
  const inWorld = async <T>(answer: Promise<T>): Promise<T> => {
    let settled = false
    const done = answer.finally(() => (settled = true)).catch(() => {})
    while (!settled && (await world.step()));
    await done
    return answer
  }

  beforeAll(async () => {
    server = await startNats({ dir: join(dir, 'nats') })
    real = await connectBus({
      config: { NATS_URL: server.url },
      name: 'test',
      log: createLogger('test', 'silent'),
    })
    await ensureTopology(real, { eventDays: 7, replicas: 1 }, async () => 2)
    broker.ensure(() => 2)
  })
  afterAll(async () => {
    await real?.drain()
    await server?.stop()
  })

  it('stores, refuses and finds as nats-server does', async () => {
    const keys = ['owner.a', 'owner.b', 'session.x', 'session.y'].map(
      (key) => `$KV.OWNERSHIP.${key}`,
    )
    const out = ['requested', 'submitted', 'progress'].flatMap((event) =>
      ['p', 'q'].map((id) => `video.out.${event}.${id}`),
    )
    const work = ['submit', 'poll'].flatMap((kind) =>
      ['m', 'n', 'o'].map((id) => `video.work.${kind}.${id}`),
    )
    const known: number[] = [0]
    for (let i = 0; i < 1_000; i++) {
      const subject = world.pick([...keys, ...keys, ...out, ...work])
      const [operation, choice] = choose(world, subject, i, known)
      const answers = [
        await operate(real, operation, choice),
        await inWorld(operate(memory, operation, choice)),
      ]
      expect(answers[1], `operation ${i}: ${operation} ${JSON.stringify(choice)}`).toEqual(
        answers[0],
      )
      if (operation === 2 && typeof answers[0] === 'number') known.push(answers[0])
    }
  })

  it('delivers, redelivers and forgets as nats-server does', async () => {
    const [ours, theirs] = [begin(memory), begin(real)]
    const end = world.now + 2_000
    while (world.now < end) await world.step()
    for (let i = 0; i < 40 && theirs.seen.length < ours.seen.length; i++) await pause(100)
    expect(ours.seen.toSorted()).toEqual(theirs.seen.toSorted())
    expect(ours.seen.length).toBeGreaterThan(0)
    for (const id of ['m', 'n', 'o']) {
      const again = (bus: Bus) =>
        said(async () => typeof (await bus.store(`video.work.submit.${id}`, '{}')))
      expect(await inWorld(again(memory))).toBe('number')
      // the store may overtake the acknowledgement
      await until(`${id} is free`, async () => (await again(real)) === 'number' || undefined)
    }
    await theirs.consuming[Symbol.asyncDispose]()
  })
})
