/**
 * With many videos no statement that every video takes reads a table from end to end, and the
 * recoveries finish. The number is enough for Postgres to plan as it does with millions.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Change } from '#libs/scene-video/messages.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { FileRecords } from '#libs/store/file-records.ts'
import { FileRemoval } from '#libs/store/file-removal.ts'
import { FileRetention } from '#libs/store/file-retention.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import { afterRestore } from '#libs/store/restored.ts'
import { seedDemo } from '#services/dev/seed.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { until } from '../support/system.ts'
import { startDatabase } from '../support/postgres.ts'

const count = Number(process.env['MANY_VIDEOS'] ?? 150_000)
/** One of a hundred is open. */
const openEvery = 100

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-many-'))
let server: LocalServer
let db: Database
let admin: pg.Client

beforeAll(async () => {
  chmodSync(dir, 0o755)
  server = await startDatabase(join(dir, 'postgres'))
  const demo = await seedDemo(server.url, `rk_test_${'x'.repeat(43)}`)
  admin = new pg.Client(server.url)
  await admin.connect()
  const { userId, projectId, scriptId, sceneIds } = demo
  await admin.query(
    `INSERT INTO "SceneVideo" (id, "sceneId", "scriptId", "projectId", "userId", status, phase, provider, model, prompt, "taskId", epoch, "updatedAt")
     SELECT uuidv7(), $1, $2, $3, $4, (CASE WHEN i % ${openEvery} = 0 THEN 'generating' WHEN i % 10 = 1 THEN 'failed' ELSE 'completed' END)::"Status", 'running', 'p', 'm', 'x', 't' || i, 0, now() - interval '1 hour'
     FROM generate_series(1, ${count}) i`,
    [sceneIds[0], scriptId, projectId, userId],
  )
  await admin.query(
    `INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher", answer, "taskId", "settledAt") SELECT id, 1, 1, 'p', 'http://x', 'k', 'accepted', "taskId", now() FROM "SceneVideo"`,
  )
  await admin.query(
    `INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, service, sequence) SELECT id, 1, 1, 'requested', 'requested', 'pending', 'queued', 'submit', row_number() over () FROM "SceneVideo"`,
  )
  // of the completed ones half are kept; the others were, and one of a hundred was lost
  await admin.query(
    `INSERT INTO "File" ("videoId", "userId", state, url, key, bytes, "storedAt") SELECT id, $1, s.state, '', CASE s.state WHEN 'stored' THEN id || '-1-1' END, 1, now() - CASE s.state WHEN 'stored' THEN interval '1 day' ELSE interval '90 days' END
     FROM (SELECT v.id, (ARRAY['stored', 'removed'])[1 + row_number() OVER () % 2] AS state FROM "SceneVideo" v WHERE status = 'completed') s`,
    [userId],
  )
  await admin.query(
    `UPDATE "SceneVideo" v SET phase = 'done', "videoUrl" = 'https://a.example/', file = '{"state":"removed","reason":"x"}' FROM "File" f WHERE f."videoId" = v.id AND f.state = 'removed'`,
  )
  await admin.query('VACUUM ANALYZE')
  await countersAreWhole()
  db = openDatabase(server.url, 1)
}, 600_000)
afterAll(async () => {
  await db?.$disconnect()
  await admin?.end()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const openIds = async (limit: number) =>
  (
    await admin.query<{ id: string }>(
      `SELECT id FROM "SceneVideo" WHERE status = 'generating' ORDER BY id LIMIT ${limit}`,
    )
  ).rows.map((row) => row.id)

/** What was done to fill the tables is counted: sessions tell their counts late. */
async function countersAreWhole(): Promise<void> {
  await admin.query('SELECT pg_stat_force_next_flush()')
  await until('every other session to end', async () => {
    const { rows } = await admin.query(
      `SELECT pid, query FROM pg_stat_activity WHERE backend_type IN ('client backend', 'parallel worker', 'autovacuum worker') AND pid <> pg_backend_pid()`,
    )
    return rows.length === 0 || undefined
  })
}

/** How often the large tables were read from end to end. */
async function fullReads(): Promise<Record<string, number>> {
  await db.$executeRaw`SELECT pg_stat_force_next_flush()`
  await db.$executeRaw`SELECT 1`
  const { rows } = await admin.query<{ relname: string; seq_scan: string }>(
    `SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname IN ('SceneVideo', 'Submission', 'Timeline', 'File')`,
  )
  return Object.fromEntries(rows.map((row) => [row.relname, Number(row.seq_scan)]))
}

const change = (status: Change['status']): Change => ({
  status,
  phase: status === 'generating' ? 'running' : 'done',
  progress: 1,
  videoUrl: null,
  videoUrlExpiresAt: null,
  error: null,
})
let no = 0
const reports = (ids: string[], what: Change | null) => {
  no++
  return ids.map((id) => ({ id, attempt: 1, epoch: '9', no, change: what }))
}

/** How many entries of their indexes were read for files. */
async function filesRead(): Promise<number> {
  await db.$executeRaw`SELECT pg_stat_force_next_flush()`
  await db.$executeRaw`SELECT 1`
  const { rows } = await admin.query<{ n: string }>(
    `SELECT sum(idx_tup_read) AS n FROM pg_stat_user_indexes WHERE relname = 'File' OR indexrelname = 'SceneVideo_unkept_idx'`,
  )
  return Number(rows[0]!.n)
}

/** More than the five times after which Postgres plans a statement for good. */
const times = 7
const statements: Record<string, (ids: string[]) => Promise<unknown>> = {
  claims: (ids) =>
    new ReportWriter(db).commitClaims(
      's',
      ids.map((id) => ({ id, epoch: '9' })),
    ),
  'signs of life': (ids) => new ReportWriter(db).apply(reports(ids, null)),
  progress: (ids) => new ReportWriter(db).apply(reports(ids, change('generating'))),
  'refused progress': (ids) =>
    new ReportWriter(db).apply(
      reports(ids, change('generating')).map((one) => ({ ...one, epoch: '8' })),
    ),
  ends: (ids) => new ReportWriter(db).apply(reports(ids.splice(0, 20), change('completed'))),
  'late ends': (ids) => new ReportWriter(db).apply(reports(ids, change('completed'))),
  'events owed': (ids) => new Outbox(db).owed(ids, 100),
  'events overdue': () => new Outbox(db).overdue(1_000, 1_000),
  'events published': async (ids) => {
    const owed = await new Outbox(db).owed(ids, 10)
    await new Outbox(db).markPublished(
      owed.map(({ timelineId }) => ({ timelineId, sequence: 10 ** 7 })),
    )
  },
  'events between': (ids) => new Outbox(db).eventsBetween(ids[0]!, 1, 9, 1),
  'pending videos': () => new Recovery(db).pendingVideos(1_000),
  'stale videos': () => new Recovery(db).staleVideos(60_000),
  'open videos': () => new Recovery(db).videosWithOpenTask(),
  'unkept promises': () => new Recovery(db).unkeptPromises(),
  'ended videos': (ids) => new Recovery(db).ended(ids),
  'unsettled videos': () => new Recovery(db).unsettledVideos(86_400_000),
  'the highest epoch': () => new Recovery(db).highestEpoch(),
  'old snapshots': () => new Recovery(db).forgetOldSnapshots(0n, 8),
  'a generation': () => new Recovery(db).raiseGeneration(),
}

/** Of the archiver and of retention, where there is nothing to do. */
const ofFiles: Record<string, () => Promise<unknown>> = {
  'files to adopt': () => new FileRecords(db).adopt(),
  'files to fetch': () =>
    new FileRecords(db).claim({ most: 6, perUser: 6, running: new Map(), leaseMs: 1_000 }),
  'files that wait': () => new FileRecords(db).waiting(3_600_000),
  'files to remove': () => new FileRemoval(db).removing(100),
  'files kept too long': () => new FileRemoval(db).outdated(30),
  'files to expire': () => new FileRemoval(db).expire(30, 1_000),
  'a page of what is promised': () => new FileRemoval(db).stored('a', 100),
  'files beyond limits': () => new FileRetention(db).excess(),
  'files to expire by limits': () => new FileRetention(db).expire(1_000),
  'files that nothing names': () =>
    new FileRemoval(db).strays(Array.from({ length: 100 }, () => `${crypto.randomUUID()}-1-1`)),
}

it('notices a statement that does read a table from end to end', async () => {
  const before = await fullReads()
  await db.sceneVideo.count({ where: { prompt: 'y' } })
  expect(await fullReads()).not.toEqual(before)
})

describe('no table is read from end to end for', () => {
  it.each(Object.keys(statements))('%s', async (name) => {
    if (name === 'a generation')
      await db.$executeRaw`INSERT INTO "System" VALUES (1, 5) ON CONFLICT DO NOTHING`
    const ids = await openIds(200)
    const before = await fullReads()
    for (let i = 0; i < times; i++) await statements[name]!(ids)
    expect(await fullReads()).toEqual(before)
  })
})

describe('neither is any, nor what files were once kept, for', () => {
  it.each(Object.keys(ofFiles))('%s', async (name) => {
    const [before, read] = [await fullReads(), await filesRead()]
    for (let i = 0; i < times; i++) await ofFiles[name]!()
    expect(await fullReads()).toEqual(before)
    expect((await filesRead()) - read).toBeLessThan(times * 1_000)
  })
})

it('forgets what old published events carried, and nothing that is owed or young', async () => {
  const { rows } = await admin.query<{ id: string }>(
    `INSERT INTO "Timeline" ("videoId", version, attempt, at, kind, status, phase, service, snapshot, owed)
     SELECT (SELECT id FROM "SceneVideo" LIMIT 1), n, 1, now() - CASE n WHEN 2 THEN interval '7 days' ELSE interval '9 days' END, 'progress', 'generating', 'running', 'status', '{}', n = 3
     FROM generate_series(1, 4) n RETURNING id`,
  )
  const ids = rows.map((row) => BigInt(row.id))
  const found = await new Recovery(db).forgetOldSnapshots(ids[0]! - 1n, 8)
  expect(found).toEqual({ after: ids[3], rows: 2 })
  const left = await db.timeline.findMany({ where: { id: { in: ids } }, orderBy: { id: 'asc' } })
  expect(left.map((row) => row.snapshot !== null)).toEqual([false, true, true, false])
})

it('guards everything that may still be paid for after a restore, in batches', async () => {
  const { rows } = await admin.query<{ id: string }>(
    `SELECT id FROM "SceneVideo" ORDER BY random() LIMIT 30000`,
  )
  const forgotten = crypto.randomUUID()
  const published = [...rows.map((row) => row.id), forgotten].map((videoId) => ({
    videoId,
    version: 50,
  }))
  const found = await afterRestore(db, published, 7)
  const { rows: left } = await admin.query<{ n: string }>(
    `SELECT count(*) AS n FROM "SceneVideo" WHERE status <> 'completed' AND "restoredAt" IS NULL`,
  )
  expect(left[0]!.n).toBe('0')
  expect(found.guarded).toBeGreaterThan(count / 10)
  expect(found.advanced).toBe(rows.length)
  expect(found.forgotten).toEqual([forgotten])
  expect(await new Recovery(db).raiseGeneration()).toBeGreaterThan(7)
})
