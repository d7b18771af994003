import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { vidu as simulated } from '#services/provider-simulator/dialects/vidu.ts'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { viduWebhook } from './vidu-webhook.ts'
import { vidu } from './vidu.ts'

const subject = subjectOf(vidu, { unsaid: ['missing'] })
conformance(subject)
againstTheSimulator([subject])

const images = (count: number) =>
  Array.from({ length: count }, (_, i) => `https://a.example/${i}.png`)

it.each([
  [0, '/base/ent/v2/text2video', '9:16'],
  [1, '/base/ent/v2/img2video', undefined],
  [2, '/base/ent/v2/start-end2video', undefined],
  [3, '/base/ent/v2/reference2video', '9:16'],
  [7, '/base/ent/v2/reference2video', '9:16'],
])('has a path for each number of pictures: %i', async (count, path, aspect_ratio) => {
  const talk = await talkTo(vidu)
  const asked = { imageUrls: images(count), aspectRatio: '9:16' }
  await talk.create(asked, { task_id: 't', state: 'created' })
  const [heard] = talk.heard()
  expect(heard).toMatchObject({ path, body: { payload: 'own-1' } })
  expect(heard!.headers.authorization).toMatch(/^Token /)
  expect((heard!.body as { aspect_ratio?: string }).aspect_ratio).toBe(aspect_ratio)
})

it.each([
  ['CreationPolicyViolation', { code: 'content_policy' }],
  ['FaceDetectFailure', { code: 'invalid_request' }],
  ['SomethingNew', { code: 'provider_failed', message: expect.stringContaining('somethingnew') }],
])('reads why a task failed: %s', async (err_code, error) => {
  const talk = await talkTo(vidu)
  expect(await talk.get('t', { id: 't', state: 'failed', err_code })).toMatchObject({ error })
})

it.each([
  [400, 'CreditInsufficient', { kind: 'refused', error: { code: 'insufficient_balance' } }],
  [429, 'OperationInProcess', { kind: 'later' }],
  [400, 'SystemThrottling', { kind: 'later' }],
  [500, 'Whatever', { kind: 'unknown' }],
])('reads what a create is answered: %i %s', async (status, reason, meant) => {
  const talk = await talkTo(vidu)
  const body = { code: status, reason, message: 'why' }
  expect(await talk.create({}, { status, body })).toMatchObject(meant)
})

it('finds a lost create by its payload on any page, and proves its absence at the end', async () => {
  const talk = await talkTo(vidu)
  const page = (...payloads: string[]) => ({
    tasks: payloads.map((payload) => ({ id: `task-${payload}`, payload, state: 'success' })),
  })
  const found = { kind: 'found', taskId: 'task-own-1' }
  expect(await talk.search({}, page('own-11'), page('own-1'), page())).toEqual(found)
  expect(await talk.search({}, page('own-11'), page('own-2'), page())).toEqual({ kind: 'absent' })
  expect(await talk.search({}, page('own-11'), { reason: 'x' })).toMatchObject({ kind: 'none' })
  expect(await talk.search({}, { total: 0 })).toMatchObject({ kind: 'none' })
})

it('is too late to cancel what has begun', async () => {
  const talk = await talkTo(vidu)
  const message = 'task state is scheduled, can not cancel'
  const said = { status: 400, body: { code: 400, reason: 'BadRequest', message } }
  expect(await talk.cancel('t', said)).toMatchObject({ kind: 'too_late' })
})

it('knows a delivery that is signed, for this path, lately', () => {
  const now = Date.UTC(2026, 0, 1)
  const path = '/webhooks/vidu/own-1?a=b'
  const view = { ...({} as Parameters<NonNullable<typeof simulated.webhook>>[0]) }
  const task = {
    ...view,
    taskId: 't',
    ownId: 'own-1',
    status: 'completed',
    createdAt: now,
  } as const
  const { headers, body } = simulated.webhook!(task, 'secret', now, `https://us.example${path}`)
  const lower = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
  const delivery = (more: object = {}) => ({
    method: 'POST',
    path,
    header: (name: string) => lower.get(name) ?? '',
    body: JSON.stringify(body),
    ...more,
  })
  const at = now / 1_000
  expect(viduWebhook.isSigned!('secret', delivery(), at + 60)).toBe(true)
  expect(viduWebhook.isSigned!('other', delivery(), at)).toBe(false)
  expect(viduWebhook.isSigned!('secret', delivery({ path: '/webhooks/vidu/own-2' }), at)).toBe(
    false,
  )
  expect(viduWebhook.isSigned!('secret', delivery(), at + 301)).toBe(false)
  expect(viduWebhook.ownIdIn(body)).toBe('own-1')
  const signed = `POST\n/p\n\nvidu\n${lower.get('date')}\nX-A:1\nX-B:2\n`
  lower.set('x-hmac-signed-headers', 'X-A;X-B').set('X-A', '1').set('X-B', '2')
  lower.set('x-hmac-signature', createHmac('sha256', 'secret').update(signed).digest('base64'))
  expect(viduWebhook.isSigned!('secret', delivery({ path: '/p' }), at)).toBe(true)
})
