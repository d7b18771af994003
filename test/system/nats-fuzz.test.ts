/**
 * Every subject gets what fits its schema, what nearly does, and what does not at all: no process
 * dies, nobody is blocked, poison is kept with its reason.
 */
import type { NatsConnection } from 'nats'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import { deadLetters, putBack, type DeadLetter } from '#libs/bus/dead-letters.ts'
import { inboxPrefix, type NatsUser } from '#libs/bus/permissions.ts'
import { sessionStates } from '#libs/ownership/records.ts'
import { streams } from '#libs/bus/streams.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import {
  commandReplySchema,
  handoffSubject,
  nudgeSubject,
  outSubject,
  reportSchema,
  reportsSubject,
} from '#libs/scene-video/messages.ts'
import { connectNats, publishersOf } from '../support/nats.ts'
import { makeMessages, type Messages } from '../support/odd-messages.ts'
import { System, until } from '../support/system.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))
const each = 60
const system = new System({
  POLL_INTERVAL_MS: '300',
  RECONCILE_INTERVAL_MS: '3000',
  LOG_LEVEL: 'fatal',
})
/** As each service: none may say what another one says. */
const connections = new Map<NatsUser, NatsConnection>()
let bus: NatsBus
let tool: NatsBus

beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 0.2, maxSeconds: 1, tier: 'off' })
})
afterAll(async () => {
  for (const nc of connections.values()) await nc.close()
  await tool?.drain()
  await bus?.drain()
  await system[Symbol.asyncDispose]()
})

const chunks = <T>(items: T[], size: number): T[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  )

/** A service that may publish on this subject. */
async function sayerOf(subject: string): Promise<NatsConnection> {
  const user = publishersOf(subject)[0]
  if (!user) throw new Error(`nobody may publish on ${subject}`)
  const nc =
    connections.get(user) ??
    (await connectNats(system.internal.natsAs(user), { inboxPrefix: inboxPrefix(user) }))
  connections.set(user, nc)
  return nc
}

async function publish(subject: string, data: Uint8Array | string): Promise<void> {
  ;(await sayerOf(subject)).publish(subject, data)
}

const flush = () => Promise.all([...connections.values()].map((nc) => nc.flush()))

async function ask(subject: string, data: Uint8Array): Promise<Record<string, unknown>> {
  try {
    const nc = await sayerOf(subject)
    return (await nc.request(subject, data, { timeout: 20_000 })).json()
  } catch (err) {
    throw new Error(
      `no answer on ${subject} to ${data.length} bytes: ${new TextDecoder().decode(data.subarray(0, 500))}`,
      { cause: err },
    )
  }
}

function jsonOf(data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data))
  } catch {
    return undefined
  }
}

/** Where a report that does not fit is buried, if it names a video. */
const lettersOf = (report: unknown): string | undefined => {
  const { data } = z.object({ id: z.uuid() }).safeParse(report)
  return data && reportsSubject(data.id)
}

/** Every request is answered. */
async function askAll({ requests, planRebalance }: Messages): Promise<void> {
  const sessions = [...(await sessionStates(tool)).keys()]
  const handoffs = sessions.map((session): [string, Uint8Array[]] => [
    handoffSubject(session),
    planRebalance,
  ])
  let answered = 0
  for (const [subject, all] of [...requests, ...handoffs]) {
    const replies: Record<string, unknown>[] = []
    for (const some of chunks(all, 8))
      replies.push(...(await Promise.all(some.map((data) => ask(subject, data)))))
    answered += replies.length
    if (subject.startsWith('video.command'))
      for (const reply of replies)
        expect(commandReplySchema.safeParse(reply).success, JSON.stringify(reply)).toBe(true)
  }
  expect(answered).toBeGreaterThan((requests.length + sessions.length) * each)
}

/** The subjects under which what nobody can handle is to be buried. */
async function publishJobs({ jobs }: Messages): Promise<string[]> {
  const poison: string[] = []
  for (const { subjectOf, schema, all } of jobs) {
    for (const [i, data] of all.entries()) {
      const body = jsonOf(data) as { id?: unknown } | undefined
      const id =
        i % 3 && typeof body?.id === 'string' && z.uuid().safeParse(body.id).success
          ? body.id
          : crypto.randomUUID()
      await publish(subjectOf(id), data)
      const misfits =
        subjectOf === reportsSubject && Array.isArray(body) && body.length > 0
          ? body.filter((one) => !reportSchema.safeParse(one).success)
          : null
      if (misfits) poison.push(...misfits.map((one) => lettersOf(one) ?? subjectOf(id)))
      else if (!schema.safeParse(body).success || (!Array.isArray(body) && body?.id !== id))
        poison.push(subjectOf(id))
    }
    await flush()
  }
  return poison
}

/** One report that Postgres refuses among others: alone it is buried. Its subject there. */
async function publishRefused(): Promise<string> {
  const fence = { id: crypto.randomUUID(), attempt: 1, epoch: '1', no: 1 }
  const change = {
    status: 'failed',
    phase: 'done',
    progress: null,
    videoUrl: null,
    videoUrlExpiresAt: null,
    error: { code: 'provider_failed', message: 'a\u0000b' },
  }
  const others = Array.from({ length: 4 }, () => ({
    ...fence,
    id: crypto.randomUUID(),
    change: null,
  }))
  const data = JSON.stringify([...others, { ...fence, change }])
  await publish(reportsSubject(crypto.randomUUID()), data)
  return reportsSubject(fence.id)
}

async function publishOthers({ nudges, others, events }: Messages, real: string): Promise<void> {
  for (const data of nudges) await publish(nudgeSubject(real), data)
  for (const data of others) await publish(nudgeSubject(crypto.randomUUID()), data)
  for (const event of ['completed', 'progress', 'nonsense'])
    for (const data of events) await publish(outSubject(event, crypto.randomUUID()), data)
  await flush()
}

async function everyConsumerDone(): Promise<void> {
  const manager = await tool.manager()
  await until('every consumer to be done', async () => {
    for (const stream of [streams.work, streams.reports])
      for await (const info of manager.consumers.list(stream))
        if (info.num_pending || info.num_ack_pending) return undefined
    return true
  })
}

/** Poison is kept with its reason; nothing else is but what Postgres refused. */
async function judgeLetters(poison: string[], refused: string): Promise<void> {
  const letters = new Map(
    (await deadLetters(bus)).map((letter): [string, DeadLetter] => [letter.subject, letter]),
  )
  expect(poison.length).toBeGreaterThan(50)
  expect(poison.filter((subject) => !letters.get(subject)?.reason)).toEqual([])
  expect(letters.get(refused)?.reason).toContain('refused by Postgres')
  // What fits its schema may still hold what Postgres keeps in no text, a null byte above all:
  // refused there, and told as such.
  const unexpected = [...letters].filter(
    ([subject, { reason }]) =>
      !poison.includes(subject) && !reason.startsWith('refused by Postgres'),
  )
  expect(unexpected.map(([subject, { reason }]) => `${subject}: ${reason}`)).toEqual([])

  const again = [...letters.values()].find((letter) => letter.truncatedFrom === null)!
  expect(await putBack(bus, again)).toBe('put back')
  await until(
    'it to die again',
    async () =>
      (await deadLetters(bus)).some(
        (letter) => letter.subject === again.subject && letter.sequence > again.sequence,
      ) || undefined,
  )
}

it(`bears whatever is published, seed ${seed}`, async () => {
  const { processes } = system.dev
  const real = await system.submit()
  const made = makeMessages(system.dev, real, { seed, each })
  // Only now: making them keeps this process too busy to answer the server's pings.
  const log = createLogger('test', 'silent')
  const as = (user: NatsUser) =>
    connectBus({ config: { NATS_URL: system.internal.natsAs(user) }, user, name: 'test', log })
  ;[bus, tool] = await Promise.all([as('operator'), as('tool')])
  await askAll(made)
  const poison = await publishJobs(made)
  const refused = await publishRefused()
  await publishOthers(made, real)
  await everyConsumerDone()
  await judgeLetters([...poison, refused], refused)

  expect(system.dev.processes).toEqual(processes)
  const last = await system.submit()
  await until(
    'a real video to complete',
    async () => (await system.video(last)).status === 'completed' || undefined,
  )
  expect((await fetch(`${system.dev.gatewayUrl}/readyz`)).status).toBe(200)
})
