import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { runway } from './runway.ts'

const subjects = [subjectOf(runway, { unsaid: ['policy'] })]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const failed = (failureCode?: string) => ({
  id: 't',
  status: 'FAILED',
  failure: 'why',
  failureCode,
})

it.each([
  ['a fraction', { status: 'RUNNING', progress: 0.42 }, { kind: 'working', progress: 42 }],
  ['one hundredth', { status: 'RUNNING', progress: 0.01 }, { kind: 'working', progress: 1 }],
  ['all of it', { status: 'RUNNING', progress: 1 }, { kind: 'working', progress: 100 }],
  ['throttled', { status: 'THROTTLED' }, { kind: 'working', phase: 'queued', progress: null }],
  ['cancelled', { status: 'CANCELLED' }, { kind: 'failed', error: { code: 'cancelled' } }],
  ['what it refused to show', failed('SAFETY.OUTPUT.VIDEO'), { error: { code: 'content_policy' } }],
  [
    'what it refused to read',
    failed('INPUT_PREPROCESSING.SAFETY.THIRD_PARTY'),
    { error: { code: 'content_policy' } },
  ],
  ['an asset', failed('ASSET.INVALID'), { error: { code: 'invalid_request' } }],
  [
    'its own trouble',
    failed('INPUT_PREPROCESSING.INTERNAL'),
    { error: { code: 'provider_failed' } },
  ],
  ['a code nobody knows', failed('X.NEW'), { error: { code: 'provider_failed', message: 'why' } }],
  ['no code', failed(), { error: { code: 'provider_failed' } }],
  ['a deleted task', { status: 404, body: { error: 'Not found' } }, { kind: 'missing' }],
  ['no task of ours', { status: 404, body: '<html>' }, { kind: 'none' }],
])('reads an answer to a query: %s', async (_, said, meant) => {
  const talk = await talkTo(runway)
  expect(await talk.get('t', said)).toMatchObject(meant)
  expect(talk.heard()[0]).toMatchObject({ headers: { 'x-runway-version': '2024-11-06' } })
})

it('takes the first of several results', async () => {
  const talk = await talkTo(runway)
  const output = ['https://c.example/a.mp4?_jwt=1', 'https://c.example/b.mp4']
  expect(await talk.get('t', { id: 't', status: 'SUCCEEDED', output })).toMatchObject({
    videoUrl: output[0],
  })
})

it('calls a lack of credits by its name, told by the text of a 400', async () => {
  const talk = await talkTo(runway)
  const say = (error: string) => talk.create({}, { status: 400, body: { error } })
  expect(await say('You do not have enough credits to run this task.')).toMatchObject({
    kind: 'refused',
    error: { code: 'insufficient_balance' },
  })
  expect(await say('Validation failed')).toMatchObject({ error: { code: 'invalid_request' } })
})

it.each([
  [{ model: 'gen4.5', aspectRatio: '9:16' }, { ratio: '720:1280' }],
  [{ model: 'veo3.1', aspectRatio: '9:16', resolution: '1080p' }, { ratio: '1080:1920' }],
  [{ model: 'gen4.5', aspectRatio: '1104:832' }, { ratio: '1104:832' }],
  [
    { model: 'hailuo3', aspectRatio: '16:9', resolution: '768p' },
    { ratio: '16:9', resolution: '768p' },
  ],
])('asks for a size in the words of the model: %o', async (asked, sent) => {
  const talk = await talkTo(runway)
  await talk.create(asked, { id: 't' })
  expect(talk.heard()[0]).toMatchObject({ path: '/base/v1/text_to_video', body: sent })
})

it('sends one picture as it is, and two with their places', async () => {
  const talk = await talkTo(runway)
  const [first, last] = ['https://a.example/1.png', 'https://a.example/2.png'] as const
  await talk.create({ imageUrls: [first] }, { id: 't' })
  expect(talk.heard()[0]).toMatchObject({
    path: '/base/v1/image_to_video',
    body: { promptImage: first },
  })
  await talk.create({ imageUrls: [first, last] }, { id: 't' })
  expect(talk.heard()[0]!.body).toMatchObject({
    promptImage: [
      { uri: first, position: 'first' },
      { uri: last, position: 'last' },
    ],
  })
})

it('cancels by deleting, whose answer has no body', async () => {
  const talk = await talkTo(runway)
  expect(await talk.cancel('t', { status: 204, body: '' })).toEqual({ kind: 'cancelled' })
  expect(talk.heard()[0]).toMatchObject({ method: 'DELETE', path: '/base/v1/tasks/t' })
})
