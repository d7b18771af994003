/** The fence, on a real Postgres: what an older owner says changes nothing. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Change, Report } from '#libs/scene-video/messages.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { isOutage } from '#libs/store/errors.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import type { SubmissionWriter } from '#libs/store/submissions.ts'
import type { Demo } from '#services/dev/seed.ts'
import { pins, startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
let db: Database
let demo: Demo
let submissions: SubmissionWriter
let writer: ReportWriter
const pendingVideo = () => kit.pendingVideo()
const submittedVideo = () => kit.submittedVideo()
const order = (id: string) => ({ userId: demo.userId, id, attempt: null })

beforeAll(async () => {
  kit = await startStore()
  ;({ db, demo, submissions, writer } = kit)
})
afterAll(() => kit[Symbol.asyncDispose]())

const running = (progress: number): Change => ({
  status: 'generating',
  phase: 'running',
  progress,
  videoUrl: null,
  videoUrlExpiresAt: null,
  error: null,
})
const done: Change = {
  status: 'completed',
  phase: 'done',
  progress: 100,
  videoUrl: 'https://example.com/v.mp4',
  videoUrlExpiresAt: null,
  error: null,
}
const report = (
  id: string,
  epoch: string,
  no: number,
  change: Change | null,
  attempt = 1,
): Report => ({ id, attempt, epoch, no, change })
const fate = async (one: Report) => (await writer.apply([one])).get(one.id)?.fate
const events = async (id: string) =>
  (await new Outbox(db).owed([id], 100)).map((one) => `${one.body.version} ${one.event}`)

it('lets one of many intents win', async () => {
  const id = await pendingVideo()
  const won = await Promise.all(Array.from({ length: 8 }, () => submissions.intend(id, 1, 1, pins)))
  expect(won.filter(Boolean)).toHaveLength(1)
})

it('writes no decision to a row that has changed since it was read', async () => {
  const id = await pendingVideo()
  const seen = (await submissions.load(id))!
  await submissions.cancel(order(id))
  expect(await submissions.intend(id, 1, 1, pins, seen)).toBeNull()
})

it('refuses reports of an epoch that was never committed, of an older one, and repeats', async () => {
  const id = await submittedVideo()
  expect(await fate(report(id, '10', 1, running(5)))).toBe('stale')
  expect((await writer.commitClaims('a', [{ id, epoch: '10' }])).grants).toHaveLength(1)
  expect(await fate(report(id, '10', 1, running(5)))).toBe('applied')
  expect(await fate(report(id, '10', 1, running(5)))).toBe('stale')
  expect((await writer.commitClaims('b', [{ id, epoch: '11' }])).grants).toHaveLength(1)
  expect(await fate(report(id, '10', 2, done))).toBe('stale')
  expect(await fate(report(id, '11', 1, running(6), 2))).toBe('stale')
  expect(await fate(report(id, '11', 1, running(6)))).toBe('applied')
  expect((await writer.commitClaims('a', [{ id, epoch: '10' }])).grants).toHaveLength(0)
})

it('shows a word that nobody knows once on the timeline, whoever owns the video, as no version', async () => {
  const id = await submittedVideo()
  const { version } = await db.sceneVideo.findUniqueOrThrow({ where: { id } })
  await writer.commitClaims('a', [{ id, epoch: '15' }])
  const says = (epoch: string, no: number, said: string) =>
    fate({ ...report(id, epoch, no, null), said })
  expect(await says('15', 1, 'reticulating')).toBe('applied')
  expect(await says('15', 1, 'reticulating')).toBe('applied')
  expect(await says('14', 2, 'annealing')).toBe('stale')
  await writer.commitClaims('b', [{ id, epoch: '16' }])
  expect(await says('16', 1, 'reticulating')).toBe('applied')
  expect(await says('16', 2, `it's "{null,}"`)).toBe('applied')
  const entries = await db.timeline.findMany({ where: { videoId: id, kind: 'unknown' } })
  expect(entries.map(({ detail, phase }) => [detail, phase])).toEqual([
    [{ said: 'reticulating' }, 'submitted'],
    [{ said: `it's "{null,}"` }, 'submitted'],
  ])
  expect(await db.sceneVideo.findUniqueOrThrow({ where: { id } })).toMatchObject({ version })
  expect(await events(id)).not.toContain('unknown')
})

it('ends a video once, and notes what comes later on the timeline', async () => {
  const id = await submittedVideo()
  await writer.commitClaims('a', [{ id, epoch: '20' }])
  expect(
    await fate(
      report(id, '20', 1, {
        ...done,
        status: 'failed',
        videoUrl: null,
        error: { code: 'timed_out', message: 'x' },
      }),
    ),
  ).toBe('applied')
  expect(await fate(report(id, '20', 2, done))).toBe('late')
  const row = await db.sceneVideo.findUniqueOrThrow({ where: { id } })
  expect([row.status, row.videoUrl]).toEqual(['failed', null])
  expect(await events(id)).toEqual(['1 requested', '2 submitted', '3 failed'])
  expect(await db.timeline.count({ where: { videoId: id, kind: 'late' } })).toBe(1)
})

it('records a first poll that says done as generating, then completed', async () => {
  const id = await submittedVideo()
  await writer.commitClaims('a', [{ id, epoch: '30' }])
  expect(await fate(report(id, '30', 1, done))).toBe('applied')
  expect(await events(id)).toEqual(['1 requested', '2 submitted', '3 generating', '4 completed'])
})

it('moves updatedAt and nothing else at a sign of life', async () => {
  const id = await submittedVideo()
  await writer.commitClaims('a', [{ id, epoch: '40' }])
  const before = await db.sceneVideo.findUniqueOrThrow({ where: { id } })
  expect(await fate(report(id, '40', 1, null))).toBe('applied')
  const after = await db.sceneVideo.findUniqueOrThrow({ where: { id } })
  expect([after.version, after.status, after.progress]).toEqual([
    before.version,
    before.status,
    before.progress,
  ])
  expect(after.updatedAt.getTime()).toBeGreaterThanOrEqual(before.updatedAt.getTime())
})

it('cancels at once before an intent, by flag after it; retries only what failed, once per attempt', async () => {
  const early = await pendingVideo()
  expect((await submissions.cancel(order(early))).video).toMatchObject({
    status: 'failed',
    error: { code: 'cancelled' },
  })
  expect(await submissions.intend(early, 1, 1, pins)).toBeNull()
  expect((await submissions.retry({ ...order(early), attempt: 1 })).video).toMatchObject({
    status: 'pending',
    attempt: 2,
  })
  await expect(submissions.retry({ ...order(early), attempt: 1 })).rejects.toMatchObject({
    code: expect.stringMatching(/not_current_attempt|not_failed|already_terminal/),
  })
  const late = await submittedVideo()
  expect(await submissions.cancel(order(late))).toMatchObject({
    ownerActs: true,
    video: { status: 'pending' },
  })
  expect(await submissions.cancel(order(late))).toMatchObject({ ownerActs: true })
  expect(
    await db.timeline.count({ where: { videoId: late, kind: 'cancel_requested' } }),
    'asked for twice, noted once',
  ).toBe(1)
  const others = { ...order(late), userId: crypto.randomUUID() }
  await expect(submissions.cancel(others)).rejects.toMatchObject({ code: 'not_found' })
})

it('forgets idempotency keys after their 24 hours, and none before', async () => {
  const keep = (key: string, hours: number) => db.$executeRaw`
    INSERT INTO "IdempotencyKey" ("userId", key, route, "bodyHash", "resultId", "createdAt") VALUES (${demo.userId}::uuid, ${key}, 'r', 'h', ${demo.userId}::uuid, now() - ${hours}::int * interval '1 hour')`
  await keep('young', 23)
  await keep('old', 25)
  expect(await new Recovery(db).forgetOldKeys()).toBe(1)
  expect(
    (await db.idempotencyKey.findMany({ where: { route: 'r' } })).map((row) => row.key),
  ).toEqual(['young'])
})

/** Holds a video's row, as a transaction does whose process stands still, until disposed. */
async function held(id: string): Promise<AsyncDisposable> {
  const client = new pg.Client(kit.url)
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT 1 FROM "SceneVideo" WHERE id = $1 FOR UPDATE', [id])
  return { [Symbol.asyncDispose]: () => client.end() }
}

it('records what it can reach, and says which rows are held by somebody else', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, submittedVideo))
  await writer.commitClaims(
    'a',
    ids.map((id) => ({ id, epoch: '50' })),
  )
  const kinds = [null, null, running(5), running(5), done, done]
  const reports = ids.map((id, i) => report(id, '50', 1, kinds[i]!))
  {
    await using _signOfLife = await held(ids[0]!)
    await using _progress = await held(ids[2]!)
    await using _end = await held(ids[4]!)
    const outcomes = await writer.apply(reports)
    expect(ids.map((id) => outcomes.get(id)?.fate)).toEqual(
      Array(3).fill(['locked', 'applied']).flat(),
    )
    const bids = [ids[0]!, ids[1]!].map((id) => ({ id, epoch: '51' }))
    const { grants, undecided } = await writer.commitClaims('b', bids)
    expect([grants.map((grant) => grant.id), undecided]).toEqual([[ids[1]], [ids[0]]])
  }
  const again = await writer.apply(reports.filter((_, i) => i % 2 === 0))
  expect([...again.values()].map((outcome) => outcome.fate)).toEqual(Array(3).fill('applied'))
})

it('ends a transaction whose process stands still', async () => {
  const id = await pendingVideo()
  await expect(
    db.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT 1 FROM "SceneVideo" WHERE id = ${id}::uuid FOR UPDATE`
      await new Promise((resolve) => setTimeout(resolve, 7_000))
      await tx.$queryRaw`SELECT 1`
    }),
  ).rejects.toSatisfy(isOutage)
  expect(await submissions.intend(id, 1, 1, pins)).not.toBeNull()
})

it('records instants in UTC whatever the zone of the database is', async () => {
  const admin = new pg.Client(kit.url)
  await admin.connect()
  await admin.query(`ALTER DATABASE reelkeeper SET timezone TO 'Asia/Shanghai'`)
  const other = openDatabase(kit.url, 1)
  try {
    const id = await pendingVideo()
    const given = new Date('2026-01-02T03:04:05.000Z')
    await other.sceneVideo.update({ where: { id }, data: { submittedAt: given } })
    const { rows } = await admin.query<{ at: Date }>(
      'SELECT "submittedAt" AS at FROM "SceneVideo" WHERE id = $1',
      [id],
    )
    expect(rows[0]!.at.toISOString()).toBe(given.toISOString())
    const [read] = await other.$queryRaw<{ at: Date }[]>`SELECT now() AS at`
    expect(Math.abs(read!.at.getTime() - Date.now())).toBeLessThan(600_000)
  } finally {
    await other.$disconnect()
    await admin.query('ALTER DATABASE reelkeeper RESET timezone')
    await admin.end()
  }
})
