import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { request, talkTo } from '../../../test/support/adapter-talk.ts'
import { fal } from './fal.ts'

const subjects = [
  subjectOf(fal, { model: 'fal-ai/m/text-to-video', unsaid: ['missing', 'balance'] }),
]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const model = 'fal-ai/kling-video/v3/standard/image-to-video'
const app = '/fal-ai/kling-video/requests/r1'
const accepted = (origin: string) => ({
  status: 'IN_QUEUE',
  request_id: 'r1',
  status_url: `${origin}${app}/status`,
  response_url: `${origin}${app}`,
  cancel_url: `${origin}${app}/cancel`,
})

async function queued() {
  const talk = await talkTo(fal)
  const answer = await talk.create({ model }, accepted(talk.account.baseUrl))
  if (answer.kind !== 'accepted') throw new Error(JSON.stringify(answer))
  return { talk, handle: answer.taskId }
}

it('sends a key of its own scheme, no retries at fal, and asks where it was told', async () => {
  const { talk, handle } = await queued()
  expect(talk.heard()[0]).toMatchObject({
    path: `/base/${model}`,
    headers: { authorization: 'Key key-of-this-test', 'x-fal-no-retry': '1' },
  })
  const waiting = { status: 202, body: { status: 'IN_QUEUE', request_id: 'r1', queue_position: 2 } }
  expect(await talk.get(handle, waiting)).toMatchObject({ phase: 'queued', progress: null })
  expect(talk.heard().map(({ path }) => path)).toEqual([`/base${app}/status`])
})

it('asks at its own address whatever host an answer names: the key goes nowhere else', async () => {
  const talk = await talkTo(fal)
  const answer = await talk.create({ model }, accepted('https://elsewhere.example'))
  const handle = answer.kind === 'accepted' ? answer.taskId : ''
  await talk.get(handle, { status: 'IN_PROGRESS', request_id: 'r1' })
  expect(talk.heard().map(({ path }) => path)).toEqual([`/base${app}/status`])
})

it('cannot read an acceptance that names no addresses of the model', async () => {
  const talk = await talkTo(fal)
  expect(await talk.create({ model }, { request_id: 'r1' })).toMatchObject({ kind: 'unreadable' })
})

const completed = { status: 'COMPLETED', request_id: 'r1', metrics: { inference_time: 63.2 } }
const result = { video: { url: 'https://v3b.fal.media/v.mp4' } }
const modelError = (type: string) => ({
  status: 422,
  body: { detail: [{ loc: ['body', 'image_url'], msg: 'why', type }] },
  headers: { 'x-fal-retryable': 'false' },
})

it('reads the result by a second query', async () => {
  const { talk, handle } = await queued()
  expect(await talk.get(handle, completed, result)).toMatchObject({ videoUrl: result.video.url })
  expect(talk.heard().map(({ path }) => path)).toEqual([`/base${app}/status`, `/base${app}`])
})

it.each([
  ['content_policy_violation', 'content_policy'],
  ['image_too_small', 'invalid_request'],
  ['unsupported_video_format', 'invalid_request'],
  ['greater_than_equal', 'invalid_request'],
  ['no_media_generated', 'provider_failed'],
])('takes a refusal of the result for the failure: %s', async (type, code) => {
  const { talk, handle } = await queued()
  expect(await talk.get(handle, completed, modelError(type))).toMatchObject({
    kind: 'failed',
    error: { code, message: 'why' },
  })
})

it.each([500, 502, 503, 504])(
  'takes %i at the result for no answer, and asks again',
  async (status) => {
    const { talk, handle } = await queued()
    expect(await talk.get(handle, completed, { status, body: '' })).toMatchObject({ kind: 'none' })
  },
)

it.each([
  ['runner_disconnected', 'provider_failed'],
  ['client_cancelled', 'cancelled'],
])(
  'takes an error beside COMPLETED for the end, and asks for no result: %s',
  async (error_type, code) => {
    const { talk, handle } = await queued()
    const said = { ...completed, error: 'why', error_type }
    expect(await talk.get(handle, said)).toMatchObject({ kind: 'failed', error: { code } })
    expect(talk.heard()).toHaveLength(1)
  },
)

it('cancels at the address of the request; one that is over can no longer be', async () => {
  const { talk, handle } = await queued()
  const asked = { status: 202, body: { status: 'CANCELLATION_REQUESTED' } }
  expect(await talk.cancel(handle, asked)).toEqual({ kind: 'cancelled' })
  expect(talk.heard()[0]).toMatchObject({ method: 'PUT', path: `/base${app}/cancel` })
  const over = { status: 400, body: { status: 'ALREADY_COMPLETED' } }
  expect(await talk.cancel(handle, over)).toMatchObject({ kind: 'too_late' })
})

const item = (request_id: string, json_input: object = { prompt: request.prompt }) => ({
  request_id,
  endpoint_id: model,
  sent_at: '2026-01-01T00:00:30Z',
  json_input,
})
const lost = { request: { model } }

it('finds a lost create in the history of its model, with a handle to ask by', async () => {
  const talk = await talkTo(fal)
  const pages = [
    { items: [item('r0', { prompt: 'a dog' })], next_cursor: 'c1', has_more: true },
    { items: [item('r1')], next_cursor: null, has_more: false },
  ]
  const found = await talk.search(lost, ...pages)
  expect(found.kind).toBe('found')
  expect(
    talk.heard().map(({ path }) => new URL(path, 'http://x').searchParams.get('cursor')),
  ).toEqual([null, 'c1'])
  expect(talk.heard()[0]!.path).toMatch(
    /^\/base\/v1\/models\/requests\/by-endpoint\?endpoint_id=fal-ai%2Fkling/,
  )
  await talk.get(found.kind === 'found' ? found.taskId : '', {
    status: 'IN_QUEUE',
    request_id: 'r1',
  })
  expect(talk.heard()[0]!.path).toBe(`/base${app}/status`)
})

it('proves no absence by a list of which nobody knows whether it holds what still waits', async () => {
  const talk = await talkTo(fal)
  expect(await talk.search(lost, { items: [], has_more: false })).toMatchObject({
    kind: 'doubtful',
  })
})

it('knows its webhooks by the keys that fal publishes, over a digest of the body', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const keySet = JSON.stringify({ keys: [{ x: 'AAAA' }, publicKey.export({ format: 'jwk' })] })
  const [body, at] = ['{"request_id":"r1","status":"OK"}', 1_760_000_000]
  const digest = createHash('sha256').update(body).digest('hex')
  const text = Buffer.from(['r1', 'user', at, digest].join('\n'))
  const isSigned = (more: { body?: string; now?: number; keys?: string } = {}) => {
    const headers: Record<string, string> = {
      'x-fal-webhook-request-id': 'r1',
      'x-fal-webhook-user-id': 'user',
      'x-fal-webhook-timestamp': String(at),
      'x-fal-webhook-signature': sign(null, text, privateKey).toString('hex'),
    }
    const delivery = { method: 'POST', path: '/', header: (name: string) => headers[name] ?? '' }
    const { keys = keySet, now = at } = more
    return fal.webhook!.isSigned!(keys, { ...delivery, body: more.body ?? body }, now)
  }
  expect(isSigned()).toBe(true)
  expect(isSigned({ body: '{}' })).toBe(false)
  expect(isSigned({ now: at + 301 })).toBe(false)
  expect(isSigned({ keys: 'no keys' })).toBe(false)
})

it('lists at fal’s other host, and elsewhere at the address it was given', () => {
  const at = (baseUrl: string) => {
    const page = { from: 0, until: 1, model, cursor: null, baseUrl, ownId: 'o' }
    const account = { baseUrl, apiKey: '', credentials: {}, token: null }
    return fal.dialect.list!.ask(page, account).baseUrl
  }
  expect(at('https://queue.fal.run')).toBe('https://api.fal.ai')
  expect(at('https://reseller.example/fal')).toBeUndefined()
})
