import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { request, talkTo } from '../../../test/support/adapter-talk.ts'
import { replicate } from './replicate.ts'

const subjects = [subjectOf(replicate, { model: 'owner/name', unsaid: ['policy', 'balance'] })]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const version = 'a'.repeat(64)
const link = 'https://replicate.delivery/v.mp4'
const done = (output: unknown) => ({ id: 't', status: 'succeeded', output })

it.each([
  ['owner/name', '/base/models/owner/name/predictions', undefined],
  [version, '/base/predictions', version],
  [`owner/name:${version}`, '/base/predictions', version],
])('makes a prediction of %s', async (model, path, sent) => {
  const talk = await talkTo(replicate)
  const asked = { model, durationSeconds: 5, callbackUrl: 'https://us.example/own-1' }
  expect(await talk.create(asked, { status: 201, body: { id: 't' } })).toMatchObject({
    taskId: 't',
  })
  const [{ headers, ...heard }] = talk.heard() as [ReturnType<typeof talk.heard>[0]]
  expect(heard).toMatchObject({
    path,
    body: {
      input: { prompt: request.prompt, duration: 5 },
      webhook: 'https://us.example/own-1',
      webhook_events_filter: ['completed'],
    },
  })
  expect((heard.body as { version?: string }).version).toBe(sent)
  // it would hold the connection open for a minute
  expect(headers['prefer']).toBeUndefined()
})

it.each([
  ['text', done(link), { videoUrl: link }],
  ['a list', done([link]), { videoUrl: link }],
  ['an object', done({ video: link }), { videoUrl: link }],
  ['removed', { ...done(null), data_removed: true }, { error: { code: 'result_removed' } }],
  ['done without an output', done(null), { kind: 'unusable' }],
  ['aborted before it began', { id: 't', status: 'aborted' }, { error: { code: 'cancelled' } }],
  ['canceled', { id: 't', status: 'canceled' }, { error: { code: 'cancelled' } }],
  ['starting', { id: 't', status: 'starting' }, { phase: 'queued' }],
  ['in its logs only', { id: 't', status: 'processing', logs: '42%|###' }, { progress: null }],
])('reads an answer to a query: %s', async (_, said, meant) => {
  const talk = await talkTo(replicate)
  expect(await talk.get('t', said)).toMatchObject(meant)
})

it('waits as long as the text of a 429 says, which has no header', async () => {
  const talk = await talkTo(replicate)
  const detail = 'Request was throttled. Your rate limit resets in ~30s.'
  expect(await talk.create({}, { status: 429, body: { detail } })).toMatchObject({
    kind: 'later',
    retryAfterMs: 30_000,
  })
  expect(await talk.get('t', { status: 429, body: { detail } })).toEqual({
    kind: 'later',
    retryAfterMs: 30_000,
  })
})

it('does not know what became of a create after a 504, which came after creations before', async () => {
  const talk = await talkTo(replicate)
  expect(await talk.create({}, { status: 504, body: { detail: 'timeout' } })).toMatchObject({
    kind: 'unknown',
  })
})

it('cancels at an address of its own', async () => {
  const talk = await talkTo(replicate)
  expect(await talk.cancel('t', { id: 't', status: 'canceled' })).toEqual({ kind: 'cancelled' })
  expect(talk.heard()[0]).toMatchObject({ method: 'POST', path: '/base/predictions/t/cancel' })
})

const item = (id: string, more: object = {}) => ({
  id,
  model: request.model,
  created_at: '2026-01-01T00:00:30Z',
  input: { prompt: request.prompt, duration: 5 },
  ...more,
})
const lost = { request: { durationSeconds: 5 } }

it('finds a lost create by what went in, over all pages', async () => {
  const talk = await talkTo(replicate)
  const next = `${talk.account.baseUrl}/predictions?cursor=c1`
  const pages = [
    { next, results: [item('a', { input: { prompt: 'a dog' } })] },
    { next: null, results: [item('b')] },
  ]
  expect(await talk.search(lost, ...pages)).toEqual({ kind: 'found', taskId: 'b' })
  expect(talk.heard().map(({ path }) => path.replaceAll(/=20[\d-]+T[^&]*/g, '=…'))).toEqual([
    '/base/predictions?created_after=…&created_before=…',
    '/base/predictions?cursor=c1',
  ])
})

it.each([
  ['of another length', { input: { prompt: request.prompt, duration: 10 } }, 'absent'],
  ['of another model', { model: 'someone/else' }, 'absent'],
  ['of a length told otherwise', { input: { prompt: request.prompt, duration: '5.0' } }, 'found'],
  ['with its prompt cut', { input: { prompt: request.prompt.slice(0, 3) } }, 'doubtful'],
  ['whose input is gone', { input: {}, data_removed: true }, 'doubtful'],
])('reads a prediction %s beside a lost create', async (_, more, kind) => {
  const talk = await talkTo(replicate)
  expect(await talk.search(lost, { next: null, results: [item('a', more)] })).toMatchObject({
    kind,
  })
})

it('takes none of two that fit', async () => {
  const talk = await talkTo(replicate)
  expect(await talk.search(lost, { next: null, results: [item('a'), item('b')] })).toMatchObject({
    kind: 'doubtful',
  })
  const known = new Set(['a'])
  expect(
    await talk.search({ ...lost, known }, { next: null, results: [item('a'), item('b')] }),
  ).toEqual({
    kind: 'found',
    taskId: 'b',
  })
})

it('knows its webhooks by the Standard Webhooks', () => {
  const secret = `whsec_${Buffer.from('secret of a webhook').toString('base64')}`
  const [id, at, body] = ['msg_1', 1_760_000_000, '{"id":"t"}']
  const sign = (key: string) =>
    createHmac('sha256', Buffer.from(key)).update(`${id}.${at}.${body}`).digest('base64')
  const isSigned = (signature: string, now = at) => {
    const headers: Record<string, string> = {
      'webhook-id': id,
      'webhook-timestamp': String(at),
      'webhook-signature': signature,
    }
    return replicate.webhook!.isSigned!(
      secret,
      { method: 'POST', path: '/', body, header: (name) => headers[name] ?? '' },
      now,
    )
  }
  expect(isSigned(`v1,${sign('another')} v1,${sign('secret of a webhook')}`)).toBe(true)
  expect(isSigned(`v1,${sign('another')}`)).toBe(false)
  expect(isSigned(`v1,${sign('secret of a webhook')}`, at + 301)).toBe(false)
})
