import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { request, talkTo } from '../../../test/support/adapter-talk.ts'
import { luma, lumaDreamMachine } from './luma.ts'

const subjects = [luma, lumaDreamMachine].map((one) =>
  subjectOf(one, { unsaid: ['missing', 'policy'] }),
)
subjects.forEach(conformance)
againstTheSimulator(subjects)

const link = 'https://l.example/v.mp4'

it('sends a length as text in seconds, and pictures as frames', async () => {
  const [first, last] = ['https://a.example/1.png', 'https://a.example/2.png'] as const
  const asked = { durationSeconds: 5, imageUrls: [first, last] }
  const agents = await talkTo(luma)
  expect(await agents.create(asked, { status: 201, body: { id: 't' } })).toMatchObject({
    kind: 'accepted',
  })
  expect(agents.heard()[0]).toMatchObject({
    path: '/base/generations',
    body: {
      type: 'video',
      video: { duration: '5s', start_frame: { url: first }, end_frame: { url: last } },
    },
  })
  const dream = await talkTo(lumaDreamMachine)
  await dream.create(
    { ...asked, callbackUrl: 'https://us.example/own-1' },
    { status: 201, body: { id: 't' } },
  )
  expect(dream.heard()[0]).toMatchObject({
    path: '/base/generations/video',
    body: {
      duration: '5s',
      keyframes: { frame0: { type: 'image', url: first }, frame1: { type: 'image', url: last } },
      callback_url: 'https://us.example/own-1',
    },
  })
})

it('takes the video among several outputs of the newer service', async () => {
  const talk = await talkTo(luma)
  const output = [
    { type: 'image', url: 'https://l.example/poster.jpg' },
    { type: 'video', url: link },
  ]
  expect(await talk.get('t', { id: 't', state: 'completed', output })).toMatchObject({
    videoUrl: link,
  })
})

it('takes the video of the older service, and no link where there are no assets', async () => {
  const talk = await talkTo(lumaDreamMachine)
  const done = { id: 't', state: 'completed' }
  expect(await talk.get('t', { ...done, assets: { video: link } })).toMatchObject({
    videoUrl: link,
  })
  expect(await talk.get('t', { ...done, assets: null })).toMatchObject({ kind: 'unusable' })
  expect(await talk.get('t', { id: 't', state: 'dreaming', assets: null })).toMatchObject({
    phase: 'running',
  })
})

it.each([luma, lumaDreamMachine])('names moderation where the reason does', async (declaration) => {
  const talk = await talkTo(declaration)
  const failed = (failure_reason: string) =>
    talk.get('t', { id: 't', state: 'failed', failure_reason })
  expect(await failed('Prompt failed moderation')).toMatchObject({
    error: { code: 'content_policy' },
  })
  expect(await failed('The GPU was lost')).toMatchObject({ error: { code: 'provider_failed' } })
})

it.each([
  [403, 'bad_key'],
  [402, 'insufficient_balance'],
  [413, 'invalid_request'],
])('reads a refusal by its status: %i', async (status, code) => {
  const talk = await talkTo(luma)
  expect(await talk.create({}, { status, body: { detail: 'why' } })).toMatchObject({
    error: { code, message: 'why' },
  })
})

const listed = (id: string, asked: object) => ({
  id,
  state: 'queued',
  created_at: '2026-01-01T00:00:30Z',
  request: { prompt: request.prompt, model: request.model, ...asked },
})
const page = (generations: object[], has_more = false) => ({ generations, has_more })

it('finds a lost create by the callback that it carries, on whatever page', async () => {
  const talk = await talkTo(lumaDreamMachine)
  const callback_url = 'https://us.example/webhooks/luma/own-1'
  const lost = { request: { callbackUrl: callback_url } }
  const others = [listed('a', { callback_url: 'https://us.example/webhooks/luma/own-11' })]
  const pages = [page(others, true), page([listed('b', { callback_url })])]
  expect(await talk.search(lost, ...pages)).toEqual({ kind: 'found', taskId: 'b' })
  expect(talk.heard().map(({ path }) => path)).toEqual([
    '/base/generations?limit=100&offset=0',
    '/base/generations?limit=100&offset=1',
  ])
  expect(await talk.search(lost, page(others))).toEqual({ kind: 'absent' })
  expect(await talk.search(lost, { generations: others })).toMatchObject({ kind: 'none' })
})

it('finds one sent without a callback by its prompt, where only one fits', async () => {
  const talk = await talkTo(lumaDreamMachine)
  expect(await talk.search({}, page([listed('a', {}), listed('b', { prompt: 'a dog' })]))).toEqual({
    kind: 'found',
    taskId: 'a',
  })
  expect(await talk.search({}, page([listed('a', {}), listed('b', {})]))).toMatchObject({
    kind: 'doubtful',
  })
  expect(await talk.search({}, page([listed('b', { prompt: 'a dog' })]))).toEqual({
    kind: 'absent',
  })
})
