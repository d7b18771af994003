/**
 * Intents and acceptances that come at the same moment are one statement; whoever's row has
 * changed, or is held by somebody, spoils no other.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { bootMs } from '#libs/runtime/clock.ts'
import type { Database } from '#libs/store/connect.ts'
import type { Loaded, NewVideo, SubmissionWriter } from '#libs/store/submissions.ts'
import type { Demo } from '#services/dev/seed.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

let kit: StoreKit
let db: Database
let demo: Demo
let store: SubmissionWriter
beforeAll(async () => {
  kit = await startStore()
  ;({ db, demo, submissions: store } = kit)
})
afterAll(() => kit?.[Symbol.asyncDispose]())

const pins = { provider: 'toapis', baseUrl: 'http://127.0.0.1:1/v1', keyCipher: 'v1.a.b.c' }

const newVideo = async (): Promise<Loaded> => (await store.acceptRequest(requestOf())).made!.loaded
const order = (id: string) => ({ userId: demo.userId, id, attempt: null })
const newVideos = (count: number) => Promise.all(Array.from({ length: count }, newVideo))
const intend = (loaded: Loaded) => store.intend(loaded.video.id, 1, 1, pins, loaded)
const accept = (loaded: Loaded) =>
  store.recordAcceptance(
    loaded.video.id,
    { attempt: 1, send: 1, taskId: `task-${loaded.video.id}`, how: 'answer' },
    loaded,
  )
const commits = async () => {
  const [row] = await db.$queryRaw<{ n: bigint }[]>`SELECT pg_current_xact_id()::text::bigint AS n`
  return Number(row!.n)
}

it('accepts a request with what the next step reads', async () => {
  const loaded = await newVideo()
  const read = (await store.load(loaded.video.id))!
  expect({ ...loaded, requestedMs: 0 }).toEqual({ ...read, requestedMs: 0 })
})

const system = { provider: 'toapis', providers: {} }
const requestOf = (more: Partial<NewVideo> = {}): NewVideo => ({
  ...demo,
  sceneId: demo.sceneIds[0]!,
  body: {},
  idempotencyKey: null,
  id: crypto.randomUUID(),
  system,
  ...more,
})

it('accepts many by one statement, each as it does alone', async () => {
  const keyed = (key: string) => ({ key, route: 'r', bodyHash: 'h' })
  const chosen = { prompt: 'own', provider: 'ark', model: 'm', deadlineSeconds: 60 }
  const requests = [
    ...Array.from({ length: 30 }, () => requestOf()),
    requestOf({ body: { ...chosen, durationSeconds: 5 }, by: { keyId: 'k', name: 'n' } }),
    requestOf({ idempotencyKey: keyed('a'), cost: { amount: 1, currency: 'USD' } }),
    requestOf({ idempotencyKey: keyed('b') }),
  ]
  const before = await commits()
  const accepted = await Promise.all(requests.map((one) => store.acceptRequest(one)))
  expect((await commits()) - before).toBeLessThan(5)
  for (const [i, { video, made }] of accepted.entries()) {
    expect(video.id).toBe(requests[i]!.id)
    expect(made!.event).toMatchObject({ event: 'requested', body: { id: video.id, version: 1 } })
    const read = (await store.load(video.id))!
    const { untilDeadlineMs, ...loaded } = made!.loaded
    expect({ ...loaded, requestedMs: 0 }).toEqual({
      ...read,
      requestedMs: 0,
      untilDeadlineMs: undefined,
    })
    expect(untilDeadlineMs).toBe(i === 30 ? 60_000 : null)
  }
  expect(accepted[30]!.video).toMatchObject({ prompt: 'own', provider: 'ark', model: 'm' })
})

it('accepts each as if alone where one is refused, repeated, or its scene is held', async () => {
  const key = { key: 'c', route: 'r', bodyHash: 'h' }
  const first = await store.acceptRequest(requestOf({ idempotencyKey: key }))
  const holder = new pg.Client(kit.url)
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT 1 FROM "Scene" WHERE id = $1 FOR UPDATE', [demo.sceneIds[1]])
  let isHeld = true
  const held = store
    .acceptRequest(requestOf({ sceneId: demo.sceneIds[1]! }))
    .finally(() => (isHeld = false))
  const [unknown, repeated, reused, unstorable, twice, again, ...others] = await Promise.allSettled(
    [
      requestOf({ sceneId: crypto.randomUUID() }),
      requestOf({ idempotencyKey: key }),
      requestOf({ idempotencyKey: { ...key, bodyHash: 'other' } }),
      requestOf({ body: { prompt: 'a\0b' } }),
      requestOf({ idempotencyKey: { ...key, key: 'd' } }),
      requestOf({ idempotencyKey: { ...key, key: 'd' } }),
      requestOf(),
      requestOf(),
    ].map((one) => store.acceptRequest(one)),
  )
  const code = (result: PromiseSettledResult<unknown>) =>
    result.status === 'rejected' ? (result.reason as { code: string }).code : 'accepted'
  expect([unknown!, reused!].map(code)).toEqual(['not_found', 'idempotency_key_reused'])
  expect(unstorable!.status).toBe('rejected')
  expect(repeated).toMatchObject({ value: { made: null, video: { id: first.video.id } } })
  const ids = [twice!, again!].map((one) => one.status === 'fulfilled' && one.value.video.id)
  expect(ids[0]).toBe(ids[1])
  expect(others.map(code)).toEqual(['accepted', 'accepted'])
  expect(isHeld).toBe(true)
  await holder.query('COMMIT')
  await holder.end()
  expect((await held).made).not.toBeNull()
})

it('writes many of them by one statement each', async () => {
  const videos = await newVideos(40)
  const before = await commits()
  const intended = await Promise.all(videos.map(intend))
  const results = await Promise.all(intended.map((loaded) => accept(loaded!)))
  expect((await commits()) - before).toBeLessThan(20)
  expect(results.map(({ fate }) => fate)).toEqual(videos.map(() => 'taken'))
  for (const [i, { event }] of results.entries())
    expect(event).toMatchObject({
      event: 'submitted',
      body: {
        id: videos[i]!.video.id,
        taskId: `task-${videos[i]!.video.id}`,
        phase: 'submitted',
        version: 2,
      },
    })
  const sends = await db.submission.findMany({
    where: { videoId: { in: videos.map(({ video }) => video.id) } },
  })
  expect(sends.map(({ answer, detail }) => [answer, detail])).toEqual(
    videos.map(() => ['accepted', 'answer']),
  )
})

it('reads many, and writes their answers and waits, by one statement each, as it does alone', async () => {
  const videos = (await newVideos(41)).map(({ video }) => video.id)
  await Promise.all(videos.map(async (id) => intend((await store.load(id))!)))
  const [alone, ...others] = videos
  const later = async (id: string, i: number) => {
    await store.answered(id, 1, 1, 'later', `told to wait, ${i}`)
    return store.recordWait(id, 1, {
      reason: `rate limit ${i}`,
      ms: 60_000 + i,
      phase: 'throttled',
    })
  }
  const expected = (await later(alone!, 0))!
  const before = await commits()
  const loaded = await Promise.all(others.map((id) => store.load(id)))
  const events = await Promise.all(others.map((id, i) => later(id, i + 1)))
  const again = await Promise.all(others.map((id, i) => later(id, i + 1)))
  expect((await commits()) - before).toBeLessThan(20)
  expect(loaded.map((one) => one?.video.id)).toEqual(others)
  expect(again).toEqual(others.map(() => null))
  const rows = await db.sceneVideo.findMany({
    where: { id: { in: videos } },
    orderBy: { id: 'asc' },
  })
  const sends = await db.submission.findMany({ where: { videoId: { in: videos } } })
  for (const [i, event] of [expected, ...events].entries()) {
    const id = videos[i]!
    const { waitReason, waitUntil, dueAt, version, phase } = rows.find((row) => row.id === id)!
    expect(event).toMatchObject({ event: 'progress', body: { id, phase: 'throttled', version: 2 } })
    expect(Object.keys(event!.body)).toEqual(Object.keys(expected.body))
    expect([waitReason, phase, version]).toEqual([`rate limit ${i}`, 'throttled', 2])
    expect(dueAt!.getTime() - waitUntil!.getTime()).toBe(15_000)
    const send = sends.find((one) => one.videoId === id)!
    expect([send.answer, send.detail]).toEqual(['later', `told to wait, ${i}`])
    expect(send.settledAt).not.toBeNull()
  }
})

it('does nothing that comes too late, and says so', async () => {
  const [late, inTime] = [{ beginBy: bootMs() - 1 }, { beginBy: bootMs() + 60_000 }]
  const requests = [late, late, inTime, late].map((one) => store.acceptRequest(requestOf(one)))
  const results = await Promise.allSettled(requests)
  const { id } = (await newVideo()).video
  const cancel = store.cancel({ ...order(id), ...late })
  await expect(cancel).rejects.toMatchObject({ code: 'not_awaited' })
  expect((await store.load(id))!.video).toMatchObject({ status: 'pending', version: 1 })
  await store.cancel(order(id))
  const retry = store.retry({ ...order(id), ...late })
  await expect(retry).rejects.toMatchObject({ code: 'not_awaited' })
  expect((await store.load(id))!.video).toMatchObject({ status: 'failed', attempt: 1 })
  const code = (one: PromiseSettledResult<unknown>) => one.status === 'rejected' && one.reason.code
  expect(results.map(code)).toEqual(['not_awaited', 'not_awaited', false, 'not_awaited'])
})

it('notes a cancel once, however often it is asked for', async () => {
  const loaded = await newVideo()
  const { id } = loaded.video
  await accept((await intend(loaded))!)
  const results = []
  for (let i = 0; i < 3; i++) results.push(await store.cancel(order(id)))
  expect(results.map(({ ownerActs }) => ownerActs)).toEqual([true, true, true])
  const notes = await db.timeline.findMany({ where: { videoId: id, kind: 'cancel_requested' } })
  expect(notes).toHaveLength(1)
})

it('leaves out a video that was cancelled meanwhile, and waits for none that is held', async () => {
  const [held, cancelled, ...others] = await newVideos(10)
  await store.cancel(order(cancelled!.video.id))
  const holder = new pg.Client(kit.url)
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT 1 FROM "SceneVideo" WHERE id = $1 FOR UPDATE', [held!.video.id])
  let isHeld = true
  const waiting = intend(held!).finally(() => (isHeld = false))
  const [refused, ...done] = await Promise.all([cancelled!, ...others].map(intend))
  expect(refused).toBeNull()
  expect(done.every((loaded) => loaded !== null)).toBe(true)
  expect(isHeld).toBe(true)
  await holder.query('COMMIT')
  await holder.end()
  expect(await waiting).not.toBeNull()
})

it('carries out each alone where one of them cannot be written at all', async () => {
  const [bad, ...others] = await newVideos(5)
  const results = await Promise.allSettled([
    store.intend(bad!.video.id, 1, 1, { ...pins, baseUrl: 'a\0b' }, bad),
    ...others.map(intend),
  ])
  expect(results.map(({ status }) => status)).toEqual([
    'rejected',
    ...others.map(() => 'fulfilled'),
  ])
})
