/** What a retry of many leaves out unless it is asked for, and what it would cost. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { failedVideo, forgetVideos, type Send } from '../support/failed-videos.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())
beforeEach(() => forgetVideos(stack))

const failed = (code: string, sends: Send[] = [], scene = 0) =>
  failedVideo(stack, code, sends, scene)
const post = (
  path: string,
  body?: unknown,
  options: { key?: string; headers?: Record<string, string> } = {},
) => stack.ask('POST', path, { body, ...options })
const retryFailed = (body?: unknown, headers?: Record<string, string>) =>
  post(`/api/projects/${stack.demo.projectId}/retry-failed`, body, headers ? { headers } : {})
const attemptOf = async (id: string) =>
  (await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })).attempt

it('retry-failed leaves out what was cancelled, refused by policy, or superseded, unless asked', async () => {
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

it('retry-failed says what it would cost', async () => {
  const settledAt = new Date()
  await failed('timed_out', [{ answer: 'accepted', taskId: 'a', outcome: 'completed', settledAt }])
  await failed('timed_out', [{ answer: 'accepted', taskId: 'b' }])
  await failed('submission_unknown', [{ answer: 'unreadable' }])
  await failed('submission_unknown', [{ answer: null }])
  await failed('provider_failed', [
    { answer: 'accepted', taskId: 'c', outcome: 'failed', settledAt },
  ])
  await failed('invalid_request', [{ answer: 'refused', settledAt }])
  await failed('timed_out')
  const { status, body } = await retryFailed({ dryRun: true })
  const cost = { late: 1, adopted: 1, waiting: 2, creates: 3, price: null }
  expect([status, body['cost']]).toEqual([200, cost])
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

it('holds a request for many to its Idempotency-Key: another body, project or script is 422', async () => {
  const { projectId, scriptId } = stack.demo
  const other = await post('/api/projects', { title: 'other' })
  const otherScript = await post(`/api/projects/${projectId}/scripts`, { title: 'other' })
  const headers = { 'idempotency-key': 'held' }
  const [first, second] = [await failed('timed_out'), await failed('cancelled')]
  const done = await retryFailed({}, headers)
  expect([done.status, done.body['ids']]).toEqual([202, [first]])
  const reused = { status: 422, body: { code: 'idempotency_key_reused' } }
  for (const body of [{ ids: [second] }, { include: ['cancelled'] }])
    expect(await retryFailed(body, headers)).toMatchObject(reused)
  const elsewhere = `/api/projects/${String(other.body['id'])}/retry-failed`
  expect(await post(elsewhere, {}, { headers })).toMatchObject(reused)
  expect(await attemptOf(second)).toBe(1)
  const script = (id: unknown) => `/api/projects/${projectId}/scripts/${String(id)}/generate-videos`
  const none = await post(script(otherScript.body['id']), {}, { headers })
  expect([none.status, none.body['sceneIds']]).toEqual([202, []])
  expect(await post(script(scriptId), {}, { headers })).toMatchObject(reused)
  expect(await post(script(otherScript.body['id']), { only: 'all' }, { headers })).toMatchObject(
    reused,
  )
})

it('does under a repeated key no more than the first request meant', async () => {
  const { projectId, scriptId, sceneIds } = stack.demo
  const headers = { 'idempotency-key': 'no more' }
  const first = await failed('timed_out')
  expect((await retryFailed({}, headers)).body['ids']).toEqual([first])
  const script = `/api/projects/${projectId}/scripts/${scriptId}`
  const made = await post(`${script}/generate-videos`, { only: 'all' }, { headers })
  expect(made.body['sceneIds']).toEqual(sceneIds)
  const later = await failed('timed_out')
  await post(`${script}/scenes`, { prompt: 'later' })
  expect((await retryFailed({}, headers)).body['ids']).toEqual([first])
  expect(await attemptOf(later)).toBe(1)
  const again = await post(`${script}/generate-videos`, { only: 'all' }, { headers })
  expect(again.body['sceneIds']).toEqual(sceneIds)
})

it('keeps no key for a request for many that was refused', async () => {
  const { userId } = stack.demo
  const [one] = [await failed('timed_out'), await failed('timed_out')]
  const today = async () =>
    (await stack.ask('GET', '/api/me/limits')).body['createsPerDay'] as unknown as {
      limit: number
      used: number
    }
  const limit = (await today()).used + 1
  await stack.keys.setLimits(userId, { createsPerDay: limit })
  await until('the limit to count', async () => (await today()).limit === limit || undefined)
  const headers = { 'idempotency-key': 'refused' }
  expect((await retryFailed({}, headers)).status).toBe(429)
  const less = await retryFailed({ ids: [one] }, headers)
  await stack.keys.setLimits(userId, null)
  expect([less.status, less.body['ids']]).toEqual([202, [one]])
})
