import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { request, talkTo } from '../../../test/support/adapter-talk.ts'
import { vercel } from './vercel.ts'

const subjects = [subjectOf(vercel, { unsaid: ['id', 'raw', 'policy', 'balance'] })]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const operation = { gatewayJobId: 'job_1', more: [1, { deep: null }] }
const accepted = { operation, warnings: [], providerMetadata: {} }

async function started() {
  const talk = await talkTo(vercel)
  const answer = await talk.create({ model: 'bytedance/seedance-2.0' }, accepted)
  if (answer.kind !== 'accepted') throw new Error(answer.kind)
  return { talk, handle: answer.taskId }
}

it('starts under its own id, with the model in a header', async () => {
  const { talk } = await started()
  expect(talk.heard()[0]).toMatchObject({
    path: '/base/video-model/start',
    headers: {
      'idempotency-key': request.ownId,
      'ai-model-id': 'bytedance/seedance-2.0',
      'ai-video-model-specification-version': '4',
    },
    body: { prompt: request.prompt, n: 1 },
  })
  expect(talk.provider.can.repeatMs).toBeGreaterThan(0)
})

it('asks with the whole operation and with the model, which the answer does not name', async () => {
  const { talk, handle } = await started()
  expect(await talk.get(handle, { status: 'pending' })).toMatchObject({ kind: 'working' })
  expect(talk.heard()[0]).toMatchObject({
    method: 'POST',
    path: '/base/video-model/status',
    headers: { 'ai-model-id': 'bytedance/seedance-2.0' },
    body: { operation },
  })
  expect(talk.heard()[0]!.body).toEqual({ operation })
})

it('asks with every number of the operation as it was written', async () => {
  const written = '{"job":12345678901234567890,"at":1.0,"of":1e3,"part":0.30000000000000001}'
  const talk = await talkTo(vercel)
  const answer = await talk.create({}, `{"operation":${written}}`)
  if (answer.kind !== 'accepted') throw new Error(answer.kind)
  await talk.get(answer.taskId, { status: 'pending' })
  expect(talk.heard()[0]!.text).toBe(`{"operation":${written}}`)
})

it.each([
  ['text for an operation', 'job_1', 'accepted'],
  ['no operation', undefined, 'unreadable'],
  ['one that cannot be kept', 'x'.repeat(5_000), 'unreadable'],
])('reads a start with %s', async (_, one, kind) => {
  const talk = await talkTo(vercel)
  expect(await talk.create({}, { operation: one })).toMatchObject({ kind })
})

it.each([
  [
    'a link',
    { status: 'completed', videos: [{ type: 'url', url: 'https://v.example/1.mp4' }] },
    { videoUrl: 'https://v.example/1.mp4' },
  ],
  [
    'the file itself',
    { status: 'completed', videos: [{ type: 'base64', data: 'AAAA' }] },
    { kind: 'unusable' },
  ],
  [
    'an error',
    { status: 'error', error: 'why' },
    { error: { code: 'provider_failed', message: 'why' } },
  ],
  [
    'a policy',
    { status: 'error', error: 'Blocked by safety filters' },
    { error: { code: 'content_policy' } },
  ],
  ['cancelled', { status: 'cancelled' }, { error: { code: 'cancelled' } }],
])('reads an end: %s', async (_, said, meant) => {
  const { talk, handle } = await started()
  expect(await talk.get(handle, said)).toMatchObject(meant)
})

it.each([
  ['authentication_error', 401, 'refused', 'bad_key'],
  ['model_not_found', 404, 'refused', 'invalid_request'],
  ['rate_limit_exceeded', 429, 'later', null],
  ['failed_dependency', 424, 'later', null],
  ['internal_server_error', 500, 'unknown', null],
])('reads an error: %s', async (type, status, kind, code) => {
  const talk = await talkTo(vercel)
  const said = { status, body: { error: { message: 'why', type, param: null } } }
  expect(await talk.create({}, said)).toMatchObject(code ? { kind, error: { code } } : { kind })
})
