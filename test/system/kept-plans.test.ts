/**
 * Postgres keeps the plan of a statement that it made while there were few rows: the statements
 * that every video takes go by key all the same.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import { pins, startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
/** One connection: what is prepared on it stays. */
let db: Database

beforeAll(async () => {
  kit = await startStore()
  db = openDatabase(kit.url, 1)
})
afterAll(async () => {
  await db?.$disconnect()
  await kit?.[Symbol.asyncDispose]()
})

const going = { videoUrl: null, videoUrlExpiresAt: null, error: null, progress: 1 }
const changes = [
  { ...going, status: 'generating', phase: 'running' },
  null,
  { ...going, status: 'completed', phase: 'done' },
] as const

/** Three videos from their request to their end, each step together. */
async function wholeLife(): Promise<void> {
  const [submissions, writer] = [new SubmissionWriter(db), new ReportWriter(db)]
  const newId = () => ({ ...kit.demo, id: crypto.randomUUID(), sceneId: kit.demo.sceneIds[0]! })
  const system = { provider: 'toapis', providers: {} }
  const requests = Array.from({ length: 3 }, newId)
  const ids = requests.map(({ id }) => id)
  await Promise.all(
    requests.map((one) =>
      submissions.acceptRequest({ ...one, body: {}, idempotencyKey: null, system }),
    ),
  )
  await Promise.all(ids.map((id) => submissions.intend(id, 1, 1, pins)))
  await Promise.all(
    ids.map((id) =>
      submissions.recordAcceptance(id, { attempt: 1, send: 1, taskId: id, how: 'answer' }),
    ),
  )
  const owner = { epoch: '1', attempt: 1 }
  await writer.commitClaims(
    's',
    ids.map((id) => ({ id, epoch: owner.epoch })),
  )
  for (const [i, change] of changes.entries()) {
    const outcomes = await writer.apply(ids.map((id) => ({ ...owner, id, no: i + 1, change })))
    expect([...outcomes.values()].map(({ fate }) => fate)).toEqual(ids.map(() => 'applied'))
  }
}

async function rowsRead(): Promise<number> {
  await db.$executeRaw`SELECT pg_stat_force_next_flush()`
  const [row] = await db.$queryRaw<{ n: bigint }[]>`
    SELECT (seq_tup_read + idx_tup_fetch)::bigint AS n FROM pg_stat_user_tables WHERE relname = 'SceneVideo'`
  return Number(row!.n)
}

/** Updates of videos, and those of them that wrote no entry in an index. */
async function updates(): Promise<{ all: number; hot: number }> {
  await db.$executeRaw`SELECT pg_stat_force_next_flush()`
  const [row] = await db.$queryRaw<{ all: number; hot: number }[]>`
    SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = 'SceneVideo'`
  return row!
}

it('writes no index for an intent, an acceptance, a claim and a sign of life', async () => {
  const before = await updates()
  for (let i = 0; i < 10; i++) await wholeLife()
  const after = await updates()
  // six updates a life, two of which change the status
  expect(after.all - before.all).toBe(10 * 3 * 6)
  expect((after.hot - before.hot) / (after.all - before.all)).toBeGreaterThan(0.6)
})

it('reads by key what many rows were added to since Postgres planned it', async () => {
  // more than the five times after which Postgres plans a statement for good
  for (let i = 0; i < 7; i++) await wholeLife()
  const admin = new pg.Client(kit.url)
  await admin.connect()
  const { sceneIds, scriptId, projectId, userId } = kit.demo
  await admin.query(
    `INSERT INTO "SceneVideo" (id, "sceneId", "scriptId", "projectId", "userId", status, provider, model, prompt, "taskId")
     SELECT uuidv7(), $1, $2, $3, $4, 'pending', 'p', 'm', 'x', 't' FROM generate_series(1, 3000)`,
    [sceneIds[0], scriptId, projectId, userId],
  )
  await admin.query('SELECT pg_stat_force_next_flush()')
  await admin.end()
  const before = await rowsRead()
  await wholeLife()
  expect((await rowsRead()) - before).toBeLessThan(300)
})
