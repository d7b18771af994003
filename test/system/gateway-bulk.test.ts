/** Bulk actions: the same act on many videos, carried on whoever asked for it goes away. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { v7 } from '#libs/runtime/uuid.ts'
import { failedVideo, forgetVideos } from '../support/failed-videos.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let stranger = ''
beforeAll(async () => {
  await stack.start()
  stranger = await stack.stranger()
})
afterAll(() => stack[Symbol.asyncDispose]())
beforeEach(() => forgetVideos(stack))

type Entry = Record<string, unknown> & { id: string }
const failed = (code: string) => failedVideo(stack, code)
const post = (
  path: string,
  body?: unknown,
  options: { key?: string; headers?: Record<string, string> } = {},
) => stack.ask('POST', path, { body, ...options })
const attemptOf = async (id: string) =>
  (await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })).attempt

const untilEnded = (id: string) =>
  until('it to end', async () => {
    const { body } = await stack.ask('GET', `/api/bulk-actions/${id}`)
    return body['status'] === 'running' ? undefined : body
  })
const resultsOf = async (id: string) => {
  const found: Entry[] = []
  for (let after = ''; ;) {
    const { body } = await stack.ask(
      'GET',
      `/api/bulk-actions/${id}/results?limit=7${after && `&after=${after}`}`,
    )
    found.push(...(body.data as unknown as Entry[]))
    if (!body['hasMore']) return found
    after = String(body['next'])
  }
}

it('a bulk action retries what fits, whoever asked for it goes away, and tells of each', async () => {
  const ids: string[] = []
  for (let i = 0; i < 20; i++) ids.push(await failed('timed_out'))
  ids.sort() // of one millisecond the first may have the larger id
  await failed('cancelled')
  const body = { action: 'retry', filter: { status: ['failed'] } }
  const dry = await post('/api/bulk-actions', { ...body, dryRun: true })
  expect([dry.status, dry.body]).toEqual([
    200,
    expect.objectContaining({
      id: null,
      status: 'dry_run',
      cost: { late: 0, adopted: 0, waiting: 0, creates: 20, price: null },
    }),
  ])
  const headers = { 'idempotency-key': 'many' }
  const made = await post('/api/bulk-actions', body, { headers })
  const id = String(made.body['id'])
  expect([made.status, made.headers.get('location')]).toEqual([202, `/api/bulk-actions/${id}`])
  expect((await post('/api/bulk-actions', body, { headers })).body['id']).toBe(id)
  expect(await untilEnded(id)).toMatchObject({
    status: 'done',
    counts: { total: 20, todo: 0, done: 20, refused: 0, skipped: 0 },
  })
  expect(await resultsOf(id)).toMatchObject(
    ids.map((videoId) => ({ videoId, attempt: 1, state: 'done', code: null })),
  )
  expect(await Promise.all(ids.map(attemptOf))).toEqual(ids.map(() => 2))
  const entry = await stack.db.timeline.findFirst({ where: { videoId: ids[0]!, attempt: 2 } })
  expect(entry?.by).toEqual({ keyId: 'demo', name: 'demo' })
  for (const path of ['', '/results'])
    expect(
      (await stack.ask('GET', `/api/bulk-actions/${id}${path}`, { key: stranger })).status,
    ).toBe(404)
  expect((await post(`/api/bulk-actions/${id}/abort`, undefined, { key: stranger })).status).toBe(
    404,
  )
})

it('a bulk action cancels what is open, by ids or by what fits', async () => {
  const made = await Promise.all(
    [0, 1, 2].map(() =>
      post(`${stack.scenePath}/generate-video`, { prompt: '[slow]', metadata: { batch: 'b' } }),
    ),
  )
  const ids = made.map((one) => String(one.body['id'])).toSorted()
  const one = await post('/api/bulk-actions', { action: 'cancel', ids: [ids[0]] })
  expect(one.body['counts']).toMatchObject({ total: 1 })
  const rest = await post('/api/bulk-actions', {
    action: 'cancel',
    filter: { metadata: { batch: 'b' } },
  })
  await untilEnded(String(one.body['id']))
  await untilEnded(String(rest.body['id']))
  const rows = await stack.db.sceneVideo.findMany({ where: { id: { in: ids } } })
  expect(rows.every((row) => row.cancelRequested || row.errorCode === 'cancelled')).toBe(true)
  for (const body of [
    { action: 'cancel' },
    { action: 'cancel', ids: [], filter: {} },
    { action: 'delete', filter: {} },
    { action: 'cancel', ids: [ids[0]], filter: {} },
    { action: 'cancel', filter: { colour: 'red' } },
  ])
    expect((await post('/api/bulk-actions', body)).status, JSON.stringify(body)).toBe(400)
})

it('a bulk action says of each video that was named and left out why', async () => {
  const ids = {
    fits: await failed('timed_out'),
    cancelled: await failed('cancelled'),
    policy: await failed('content_policy'),
    nobodys: v7(),
    erased: await failed('timed_out'),
  }
  expect((await stack.ask('DELETE', `/api/scene-videos/${ids.erased}`)).status).toBe(204)
  const body = { action: 'retry', ids: Object.values(ids) }
  const dry = await post('/api/bulk-actions', { ...body, dryRun: true })
  expect(dry.body['counts']).toMatchObject({ total: 5, todo: 1, skipped: 4 })
  const made = await post('/api/bulk-actions', body)
  const ended = await untilEnded(String(made.body['id']))
  expect(ended['counts']).toEqual({ total: 5, todo: 0, done: 1, refused: 0, skipped: 4 })
  const results = await resultsOf(String(made.body['id']))
  expect(new Map(results.map((one) => [one['videoId'], [one['state'], one['code']]]))).toEqual(
    new Map([
      [ids.fits, ['done', null]],
      [ids.cancelled, ['skipped', 'cancelled']],
      [ids.policy, ['skipped', 'content_policy']],
      [ids.nobodys, ['skipped', 'not_found']],
      [ids.erased, ['skipped', 'not_found']],
    ]),
  )
  const theirs = await post('/api/bulk-actions', body, { key: stranger })
  const path = `/api/bulk-actions/${String(theirs.body['id'])}/results`
  const codes = (await stack.ask('GET', path, { key: stranger })).body.data as unknown as Entry[]
  expect(codes.map((one) => one['code'])).toEqual(Array(5).fill('not_found'))
})

it('a bulk action is carried on by another gateway when the one that took its items died', async () => {
  const ids: string[] = []
  for (let i = 0; i < 5; i++) ids.push(await failed('timed_out'))
  // as a gateway leaves it that died right after it took them
  await stack.db.$transaction(async (tx) => {
    const id = v7()
    await tx.$executeRaw`INSERT INTO "BulkAction" (id, "userId", action, cost) VALUES (${id}::uuid, ${stack.demo.userId}::uuid, 'retry', '{"late":0,"adopted":0,"creates":5,"waiting":0}')`
    await tx.$executeRaw`INSERT INTO "BulkItem" ("bulkId", "videoId", attempt, "takenAt") SELECT ${id}::uuid, unnest(${ids}::uuid[]), 1, now() - interval '31 seconds'`
  })
  await until(
    'all to be retried',
    async () =>
      (await Promise.all(ids.map(attemptOf))).every((attempt) => attempt === 2) || undefined,
  )
})

it('a bulk action is aborted: what is not in hand is skipped', async () => {
  const id = v7()
  const ids: string[] = []
  for (let i = 0; i < 3; i++) ids.push(await failed('timed_out'))
  await stack.db.$transaction(async (tx) => {
    await tx.$executeRaw`INSERT INTO "BulkAction" (id, "userId", action, cost) VALUES (${id}::uuid, ${stack.demo.userId}::uuid, 'retry', '{"late":0,"adopted":0,"creates":3,"waiting":0}')`
    // none of them can be taken by a gateway before it is aborted
    await tx.$executeRaw`INSERT INTO "BulkItem" ("bulkId", "videoId", attempt) SELECT ${id}::uuid, unnest(${ids}::uuid[]), 1`
    await tx.$executeRaw`UPDATE "BulkAction" SET status = 'running' WHERE id = ${id}::uuid`
    await tx.$executeRaw`UPDATE "BulkItem" SET "takenAt" = now() WHERE "bulkId" = ${id}::uuid AND "videoId" = ${ids[0]}::uuid`
    await tx.$executeRaw`UPDATE "BulkAction" SET status = 'paused' WHERE id = ${id}::uuid`
  })
  await stack.db.bulkAction.update({ where: { id }, data: { status: 'running' } })
  const aborted = await post(`/api/bulk-actions/${id}/abort`)
  expect([aborted.status, aborted.body['status']]).toEqual([202, 'aborted'])
  const counts = aborted.body['counts'] as unknown as Record<string, number>
  expect(counts['total']).toBe(3)
  expect(counts['todo']! + counts['done']! + counts['skipped']!).toBe(3)
  expect((await post(`/api/bulk-actions/${id}/abort`)).body['status']).toBe('aborted')
})
