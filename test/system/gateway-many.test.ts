/** Acts on many videos: what a retry of many leaves out and costs, and bulk actions. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { v7 } from '#libs/runtime/uuid.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let stranger = ''
beforeAll(async () => {
  await stack.start()
  stranger = await stack.stranger()
})
afterAll(() => stack[Symbol.asyncDispose]())
beforeEach(async () => {
  for (const table of ['BulkAction', 'Timeline', 'Submission', 'SceneVideo', 'IdempotencyKey'])
    await stack.db.$executeRawUnsafe(`TRUNCATE "${table}" CASCADE`)
})

type Entry = Record<string, unknown> & { id: string }
type Send = { answer: string | null; taskId?: string; outcome?: string; settledAt?: Date }

/** A failed video, with what is known of its sends. */
async function failed(errorCode: string, sends: Send[] = [], scene = 0): Promise<string> {
  const { userId, projectId, scriptId, sceneIds } = stack.demo
  const { id } = await stack.db.sceneVideo.create({
    data: {
      id: v7(),
      userId,
      projectId,
      scriptId,
      sceneId: sceneIds[scene]!,
      provider: 'toapis',
      model: 'sora-2',
      prompt: 'x',
      status: 'failed',
      phase: 'done',
      errorCode,
      errorMessage: errorCode,
      completedAt: new Date(),
    },
  })
  for (const [i, send] of sends.entries())
    await stack.db.submission.create({
      data: {
        videoId: id,
        attempt: 1,
        send: i + 1,
        provider: 'toapis',
        baseUrl: 'https://x.example',
        keyCipher: 'x',
        ...send,
      },
    })
  return id
}
const post = (
  path: string,
  body?: unknown,
  options: { key?: string; headers?: Record<string, string> } = {},
) => stack.ask('POST', path, { body, ...options })
const retryFailed = (body?: unknown, headers?: Record<string, string>) =>
  post(`/api/projects/${stack.demo.projectId}/retry-failed`, body, headers ? { headers } : {})
const attemptOf = async (id: string) =>
  (await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })).attempt

describe('retry-failed', () => {
  it('leaves out what was cancelled, refused by policy, or superseded, unless asked', async () => {
    const [cancelled, policy, timedOut, superseded] = [
      await failed('cancelled'),
      await failed('content_policy'),
      await failed('timed_out'),
      await failed('provider_failed', [], 1),
    ]
    const newer = await failed('provider_failed', [], 1)
    await stack.db.sceneVideo.update({
      where: { id: newer },
      data: { status: 'completed', errorCode: null },
    })
    const dry = async (body: object) => (await retryFailed({ dryRun: true, ...body })).body['ids']
    expect(await dry({})).toEqual([timedOut])
    expect(await dry({ include: ['superseded'] })).toEqual([timedOut, superseded])
    expect(await dry({ include: ['cancelled', 'content_policy'] })).toEqual([
      cancelled,
      policy,
      timedOut,
    ])
    // named by its code, it is asked for
    expect(await dry({ codes: ['content_policy'] })).toEqual([policy])
    expect(await dry({ ids: [timedOut, newer] })).toEqual([timedOut])
    expect(await dry({ ids: [policy] })).toEqual([])
    for (const id of [cancelled, policy, timedOut, superseded]) expect(await attemptOf(id)).toBe(1)
    const done = await retryFailed()
    expect([done.status, done.body['ids']]).toEqual([202, [timedOut]])
    expect(done.body.data).toMatchObject([{ id: timedOut, attempt: 2, status: 'pending' }])
    for (const body of [{ codes: [] }, { include: ['all'] }, { limit: 3 }])
      expect((await retryFailed(body)).status).toBe(400)
  })

  it('says what it would cost', async () => {
    const settledAt = new Date()
    await failed('timed_out', [
      { answer: 'accepted', taskId: 'a', outcome: 'completed', settledAt },
    ])
    await failed('timed_out', [{ answer: 'accepted', taskId: 'b' }])
    await failed('submission_unknown', [{ answer: 'unreadable' }])
    await failed('submission_unknown', [{ answer: null }])
    await failed('provider_failed', [
      { answer: 'accepted', taskId: 'c', outcome: 'failed', settledAt },
    ])
    await failed('invalid_request', [{ answer: 'refused', settledAt }])
    await failed('timed_out')
    const { status, body } = await retryFailed({ dryRun: true })
    expect([status, body['cost']]).toEqual([200, { late: 1, adopted: 1, waiting: 2, creates: 3 }])
  })
})

describe('a bulk action', () => {
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

  it('retries what fits, whoever asked for it goes away, and tells of each', async () => {
    const ids: string[] = []
    for (let i = 0; i < 20; i++) ids.push(await failed('timed_out'))
    await failed('cancelled')
    const body = { action: 'retry', filter: { status: ['failed'] } }
    const dry = await post('/api/bulk-actions', { ...body, dryRun: true })
    expect([dry.status, dry.body]).toEqual([
      200,
      expect.objectContaining({
        id: null,
        status: 'dry_run',
        cost: { late: 0, adopted: 0, waiting: 0, creates: 20 },
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

  it('cancels what is open, by ids or by what fits', async () => {
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

  it('is carried on by another gateway when the one that took its items died', async () => {
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

  it('is aborted: what is not in hand is skipped', async () => {
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
})

it('lets the second request under a key wait for the first', async () => {
  const body = { prompt: 'once' }
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      post(`${stack.scenePath}/generate-video`, body, { headers: { 'idempotency-key': 'a' } }),
    ),
  )
  expect(answers.map((one) => one.status)).toEqual(answers.map(() => 202))
  expect(new Set(answers.map((one) => one.body['id'])).size).toBe(1)
  const projects = await Promise.all(
    Array.from({ length: 20 }, () =>
      post('/api/projects', { title: 'once' }, { headers: { 'idempotency-key': 'b' } }),
    ),
  )
  expect(projects.map((one) => one.status)).toEqual(projects.map(() => 201))
  expect(new Set(projects.map((one) => one.body['id'])).size).toBe(1)
})
