/**
 * Lists that are narrowed to a project, a scene or metadata cost the same however many videos their
 * user has, by a plan that is kept for all values, too.
 */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { Reader } from '#libs/store/reader.ts'
import type { VideoFilter } from '#libs/store/video-filter.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

const ofOne = 50_000
const others = 500
let kit: StoreKit
/** One connection: what is prepared on it stays. */
let db: Database
let admin: pg.Client
const small = { projectId: randomUUID(), scriptId: randomUUID(), sceneId: randomUUID() }

/** Videos of a user, in a project of its own. */
async function fill(userId: string, place: typeof small, count: number): Promise<void> {
  const { projectId, scriptId, sceneId } = place
  await admin.query(`INSERT INTO "Project" (id, "userId", title) VALUES ($1, $2, 'x')`, [
    projectId,
    userId,
  ])
  await admin.query(`INSERT INTO "Script" (id, "projectId", title) VALUES ($1, $2, 'x')`, [
    scriptId,
    projectId,
  ])
  await admin.query(`INSERT INTO "Scene" (id, "scriptId", prompt) VALUES ($1, $2, 'x')`, [
    sceneId,
    scriptId,
  ])
  await admin.query(
    `INSERT INTO "SceneVideo" (id, "sceneId", "scriptId", "projectId", "userId", status, phase, provider, model, prompt, params, epoch, "updatedAt")
     SELECT uuidv7(), $1, $2, $3, $4, 'completed', 'done', 'p', 'm', 'x', jsonb_build_object('metadata', jsonb_build_object('order', i)), 0, now() FROM generate_series(1, $5::int) i`,
    [sceneId, scriptId, projectId, userId, count],
  )
}
const place = () => ({ projectId: randomUUID(), scriptId: randomUUID(), sceneId: randomUUID() })

beforeAll(async () => {
  kit = await startStore()
  admin = new pg.Client(kit.url)
  await admin.connect()
  await admin.query('BEGIN')
  for (let i = 0; i < others; i++) {
    const userId = randomUUID()
    await admin.query(`INSERT INTO "User" (id, name) VALUES ($1, 'x')`, [userId])
    await fill(userId, place(), 30)
  }
  await admin.query('COMMIT')
  await fill(kit.demo.userId, small, 30)
  await fill(kit.demo.userId, place(), ofOne)
  await admin.query('VACUUM ANALYZE')
  db = openDatabase(kit.url, 1)
})
afterAll(async () => {
  await db?.$disconnect()
  await admin?.end()
  await kit?.[Symbol.asyncDispose]()
})

async function entriesRead(): Promise<number> {
  await db.$executeRaw`SELECT pg_stat_force_next_flush()`
  await db.$executeRaw`SELECT 1`
  const { rows } = await admin.query<{ n: string }>(
    `SELECT sum(idx_tup_read) + (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'SceneVideo') AS n
     FROM pg_stat_user_indexes WHERE relname = 'SceneVideo'`,
  )
  return Number(rows[0]!.n)
}

const narrowed: [string, Partial<VideoFilter>, number][] = [
  ['a project', { projectId: small.projectId }, 20],
  ['a project’s failed ones', { projectId: small.projectId, status: ['failed'] }, 0],
  ['a scene', { sceneId: small.sceneId }, 20],
  ['a script', { scriptId: small.scriptId }, 20],
  ['metadata that one has', { metadata: { order: String(ofOne - 10_000) } }, 1],
]
it.each(narrowed)('looks at little for %s', async (_, filter, found) => {
  const reader = new Reader(db)
  const page = () =>
    reader.list({ userId: kit.demo.userId, ...filter }, { limit: 20, order: 'desc' })
  expect((await page()).data).toHaveLength(found)
  // more than the five times after which Postgres keeps a plan
  for (let i = 0; i < 8; i++) await page()
  const before = await entriesRead()
  for (let i = 0; i < 5; i++) await page()
  expect((await entriesRead()) - before).toBeLessThan(5 * 2_000)
})
