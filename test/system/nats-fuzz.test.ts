/**
 * Every subject gets what fits its schema, what nearly does, and what does not at all: no process
 * dies, nobody is blocked, poison is kept with its reason.
 */
import fc from 'fast-check'
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
  bidSchema,
  claimRequestSchema,
  claimSubject,
  commandReplySchema,
  commandSubject,
  generateCommandSchema,
  handoffSchema,
  handoffSubject,
  nudgeSchema,
  nudgeSubject,
  outSubject,
  pollWorkSubject,
  reportSchema,
  reportsSubject,
  settleWorkSubject,
  submitWorkSubject,
  videoCommandSchema,
  videoEventSchema,
  workSchema,
} from '#libs/scene-video/messages.ts'
import { connectNats, publishersOf } from '../support/nats.ts'
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

const nasty: unknown[] = [
  '\u0000',
  'a\u0000b',
  '\ud800',
  '',
  ' ',
  'x'.repeat(100_000),
  '\u202e../../etc',
  '99999999999999999999',
  '-1',
  '9007199254740993',
  '0000-00-00T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '+275760-09-13T00:00:00.000Z',
  -1,
  0,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  null,
  true,
  [],
  {},
  { '\u0000': '\u0000' },
  { __proto__: null, constructor: 1 },
  JSON.parse(`${'['.repeat(2_000)}${']'.repeat(2_000)}`),
]
const raw: (string | Uint8Array)[] = [
  '',
  'null',
  '{',
  '[]',
  '"x"',
  '7',
  'x'.repeat(1_000_000),
  `"${'x'.repeat(1_000_000)}"`,
  '['.repeat(500_000),
  `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
  new Uint8Array([0xc3, 0x28, 0xff]),
  new Uint8Array(8),
  '\ufeff{}',
]

interface JsonSchema {
  type?: string
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  additionalProperties?: JsonSchema | boolean
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  enum?: unknown[]
  const?: unknown
  format?: string
  pattern?: string
  minimum?: number
  maximum?: number
  maxItems?: number
}

/** What fits a schema, any part of it replaced now and then by what is nasty. */
function around(
  schema: JsonSchema,
  known: Record<string, string>,
  key = '',
): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 30, arbitrary: fits(schema, known, key) },
    { weight: 1, arbitrary: fc.constantFrom(...nasty) },
  )
}

function fits(
  schema: JsonSchema,
  known: Record<string, string>,
  key: string,
): fc.Arbitrary<unknown> {
  const inner = (one: JsonSchema, name = key) => around(one, known, name)
  if (known[key] !== undefined) return fc.constant(known[key])
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf ?? schema.oneOf)
    return fc.oneof(...(schema.anyOf ?? schema.oneOf)!.map((one) => inner(one)))
  if (schema.type === 'array')
    return fc.array(inner(schema.items ?? {}), { maxLength: Math.min(3, schema.maxItems ?? 3) })
  if (schema.type === 'object' && schema.properties)
    return fc.record(
      Object.fromEntries(
        Object.entries(schema.properties).map(([name, one]) => [name, inner(one, name)]),
      ),
      { requiredKeys: schema.required ?? [] },
    )
  if (schema.type === 'object')
    return fc.dictionary(
      fc.string(),
      fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constant(null)),
      { maxKeys: 3 },
    )
  if (schema.type === 'integer' || schema.type === 'number')
    return fc.integer({
      min: Math.max(schema.minimum ?? 0, -1e6),
      max: Math.min(schema.maximum ?? 1e6, 1e6),
    })
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'null') return fc.constant(null)
  if (schema.format === 'uuid') return fc.uuid()
  if (schema.format === 'uri') return fc.webUrl()
  if (schema.format === 'date-time')
    return fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString())
  if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern))
  return fc.string({ unit: 'binary', minLength: 1, maxLength: 50 })
}

const encoder = new TextEncoder()
const bytes = (text: string | Uint8Array) =>
  typeof text === 'string' ? encoder.encode(text) : text

/** Bodies for one subject, the same for the same seed. */
function bodies(schema: z.ZodType, known: Record<string, string>): Uint8Array[] {
  const json = z.toJSONSchema(schema, { unrepresentable: 'any' }) as JsonSchema
  const made = fc.sample(around(json, known), { seed, numRuns: each })
  return [...raw.map(bytes), ...made.map((value) => bytes(JSON.stringify(value)))].filter(
    (data) => data.length < 1_000_100,
  )
}

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

it(`bears whatever is published, seed ${seed}`, async () => {
  const { userId, projectId, scriptId, sceneIds, processes } = system.dev
  const real = await system.submit()
  const made = {
    requests: (
      [
        [
          commandSubject.generate,
          generateCommandSchema,
          { userId, projectId, scriptId, sceneId: sceneIds[0]! },
        ],
        [commandSubject.generate, generateCommandSchema, {}],
        [commandSubject.cancel, videoCommandSchema, { userId, id: real }],
        [commandSubject.retry, videoCommandSchema, { userId, id: real }],
        [commandSubject.retry, videoCommandSchema, {}],
        [claimSubject, claimRequestSchema, {}],
      ] as [string, z.ZodType, Record<string, string>][]
    ).map(([subject, schema, known]): [string, Uint8Array[]] => [subject, bodies(schema, known)]),
    planRebalance: bodies(handoffSchema, {}),
    jobs: (
      [
        [submitWorkSubject, workSchema],
        [pollWorkSubject, workSchema],
        [settleWorkSubject, workSchema],
        [reportsSubject, z.array(reportSchema).min(1).max(1000)],
      ] as const
    ).map(([subjectOf, schema]) => ({ subjectOf, schema, all: bodies(schema, {}) })),
    nudges: bodies(nudgeSchema, { id: real }),
    others: bodies(bidSchema, {}),
    events: bodies(videoEventSchema, {}),
  }
  // Only now: making them keeps this process too busy to answer the server's pings.
  const log = createLogger('test', 'silent')
  const as = (user: NatsUser) =>
    connectBus({ config: { NATS_URL: system.internal.natsAs(user) }, user, name: 'test', log })
  ;[bus, tool] = await Promise.all([as('operator'), as('tool')])
  const sessions = [...(await sessionStates(tool)).keys()]

  let answered = 0
  for (const [subject, all] of [
    ...made.requests,
    ...sessions.map((session): [string, Uint8Array[]] => [
      handoffSubject(session),
      made.planRebalance,
    ]),
  ]) {
    const replies: Record<string, unknown>[] = []
    for (const some of chunks(all, 8))
      replies.push(...(await Promise.all(some.map((data) => ask(subject, data)))))
    answered += replies.length
    if (subject.startsWith('video.command'))
      for (const reply of replies)
        expect(commandReplySchema.safeParse(reply).success, JSON.stringify(reply)).toBe(true)
  }
  expect(answered).toBeGreaterThan((made.requests.length + sessions.length) * each)

  const poison: string[] = []
  for (const { subjectOf, schema, all } of made.jobs) {
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
  // alone it is buried, not its neighbours
  await publish(
    reportsSubject(crypto.randomUUID()),
    JSON.stringify([...others, { ...fence, change }]),
  )
  poison.push(reportsSubject(fence.id))

  for (const data of made.nudges) await publish(nudgeSubject(real), data)
  for (const data of made.others) await publish(nudgeSubject(crypto.randomUUID()), data)
  for (const event of ['completed', 'progress', 'nonsense']) {
    for (const data of made.events) {
      await publish(outSubject(event, crypto.randomUUID()), data)
    }
  }
  await flush()

  const manager = await tool.manager()
  await until(
    'every consumer to be done',
    async () => {
      for (const stream of [streams.work, streams.reports]) {
        for await (const info of manager.consumers.list(stream))
          if (info.num_pending || info.num_ack_pending) return undefined
      }
      return true
    },
    60_000,
  )
  const letters = new Map(
    (await deadLetters(bus)).map((letter): [string, DeadLetter] => [letter.subject, letter]),
  )
  expect(poison.length).toBeGreaterThan(50)
  expect(poison.filter((subject) => !letters.get(subject)?.reason)).toEqual([])
  expect(letters.get(reportsSubject(fence.id))?.reason).toContain('refused by Postgres')
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

  expect(system.dev.processes).toEqual(processes)
  const last = await system.submit()
  await until(
    'a real video to complete',
    async () => (await system.video(last)).status === 'completed' || undefined,
  )
  expect((await fetch(`${system.dev.gatewayUrl}/readyz`)).status).toBe(200)
}, 150_000)
