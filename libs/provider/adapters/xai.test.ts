import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { request, talkTo } from '../../../test/support/adapter-talk.ts'
import { xai } from './xai.ts'

const subjects = [subjectOf(xai, { unsaid: ['id'] })]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const done = (video: object) => ({ status: 'done', video })
const link = 'https://vidgen.x.ai/v.mp4'

it.each([
  ['202 without a body', { status: 202, body: '' }, { kind: 'working', phase: 'running' }],
  ['202, pending', { status: 202, body: { status: 'pending', progress: 42 } }, { progress: 42 }],
  ['done', done({ url: link, respect_moderation: true }), { kind: 'done', videoUrl: link }],
  ['the older form of an end', { video: { url: link } }, { kind: 'done', videoUrl: link }],
  [
    'held back',
    done({ url: '', respect_moderation: false }),
    { error: { code: 'content_policy' } },
  ],
  ['done without a link', done({}), { kind: 'unusable', error: { code: 'no_result' } }],
  ['expired', { status: 'expired' }, { kind: 'failed', error: { code: 'timed_out' } }],
  ['no status at all', {}, { kind: 'unknown' }],
  [
    'failed',
    { status: 'failed', error: { code: 'x', message: 'why' } },
    { kind: 'failed', error: { code: 'provider_failed', message: 'why' } },
  ],
])('reads an answer to a query: %s', async (_, said, meant) => {
  const talk = await talkTo(xai)
  expect(await talk.get('r/1', said)).toMatchObject(meant)
  expect(talk.heard()[0]).toMatchObject({ method: 'GET', path: '/base/videos/r%2F1' })
})

it.each([
  [
    'an object',
    403,
    { error: { code: 'x', message: 'You have no credits left' } },
    'insufficient_balance',
  ],
  ['words beside a text', 400, { code: 'Client specified', error: 'Incorrect API key' }, 'bad_key'],
  [
    'a policy told by text',
    400,
    { code: 'Client', error: 'rejected by content moderation' },
    'content_policy',
  ],
  ['a schema', 422, 'Failed to deserialize the JSON body', 'invalid_request'],
])('reads an error: %s', async (_, status, body, code) => {
  const talk = await talkTo(xai)
  expect(await talk.create({}, { status, body })).toMatchObject({
    kind: 'refused',
    error: { code },
  })
})

it('sends frames as objects, and nothing that was not asked for', async () => {
  const talk = await talkTo(xai)
  const imageUrls = ['https://a.example/1.png', 'https://a.example/2.png']
  expect(await talk.create({ imageUrls }, { request_id: 'r' })).toEqual({
    kind: 'accepted',
    taskId: 'r',
  })
  expect(talk.heard()[0]!.body).toEqual({
    model: request.model,
    prompt: request.prompt,
    image: { url: imageUrls[0] },
    last_frame: { url: imageUrls[1] },
  })
})
