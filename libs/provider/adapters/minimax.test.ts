import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { minimax, minimaxHailuo } from './minimax.ts'

const subjects = [
  subjectOf(minimax, { unsaid: ['missing'] }),
  subjectOf(minimaxHailuo, { unsaid: ['missing'] }),
]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const ok = { base_resp: { status_code: 0, status_msg: 'success' } }
const base = (status_code: number, status_msg = 'why') => ({
  base_resp: { status_code, status_msg },
})

it.each([
  [1002, { kind: 'later' }],
  [1004, { kind: 'refused', error: { code: 'bad_key' } }],
  [1008, { kind: 'refused', error: { code: 'insufficient_balance' } }],
  [1026, { kind: 'refused', error: { code: 'content_policy' } }],
  [1042, { kind: 'refused', error: { code: 'invalid_request' } }],
  [1000, { kind: 'unknown' }],
  [1033, { kind: 'unknown' }],
  // of integrations only
  [2056, { kind: 'refused', error: { code: 'invalid_request', message: 'why' } }],
])('reads an error in a 200 of v1: %i', async (code, meant) => {
  const talk = await talkTo(minimaxHailuo)
  expect(await talk.create({}, base(code))).toMatchObject(meant)
  expect((await talk.get('t', base(code))).kind).toMatch(/^(none|later)$/)
})

it('asks v1 for the link by the file, exactly as it is named, and only when it is done', async () => {
  const talk = await talkTo(minimaxHailuo)
  const file = '9205258526306433777'
  const done = { task_id: 't', status: 'Success', file_id: file, ...ok }
  const link = 'https://a.example/v.mp4'
  const told = `{"file":{"file_id":${file},"download_url":"${link}"},"base_resp":{"status_code":0}}`
  expect(await talk.get('t', done, told)).toMatchObject({ kind: 'done', videoUrl: link })
  expect(talk.heard().map(({ path }) => path)).toEqual([
    '/base/v1/query/video_generation?task_id=t',
    `/base/v1/files/retrieve?file_id=${file}`,
  ])
  expect(await talk.get('t', done, base(1002))).toMatchObject({ kind: 'later' })
  await talk.get('t', { task_id: 't', status: 'Processing', ...ok })
  expect(talk.heard()).toHaveLength(1)
})

it.each([
  ['held back', base(1027), { code: 'content_policy' }],
  ['failed', base(1000, 'no luck'), { code: 'provider_failed', message: 'no luck' }],
])('reads the end of a task of v1: %s', async (_, said, error) => {
  const talk = await talkTo(minimaxHailuo)
  const failed = { task_id: 't', status: 'Fail', file_id: '', ...said }
  expect(await talk.get('t', failed)).toMatchObject({ kind: 'failed', error })
})

it.each([
  ['1026', 'content_policy'],
  ['1027', 'content_policy'],
  ['1000', 'provider_failed'],
])('reads the end of a task of v2: %s', async (code, ours) => {
  const talk = await talkTo(minimax)
  const said = { task: { id: 't', status: 'failed', error: { code, message: 'why' } } }
  expect(await talk.get('t', said)).toMatchObject({ error: { code: ours, message: 'why' } })
})

it('sends frames to v2 by their roles, and a resolution in capitals', async () => {
  const talk = await talkTo(minimax)
  const imageUrls = ['https://a.example/1.png', 'https://a.example/2.png']
  const asked = { imageUrls, resolution: '768p', durationSeconds: 6 }
  expect(await talk.create(asked, { task_id: 424010985738629 })).toEqual({
    kind: 'accepted',
    taskId: '424010985738629',
  })
  expect(talk.heard()[0]!.body).toEqual({
    model: 'm',
    content: [
      { type: 'text', text: 'a fox' },
      { type: 'image_url', image_url: { url: imageUrls[0] }, role: 'first_frame' },
      { type: 'image_url', image_url: { url: imageUrls[1] }, role: 'last_frame' },
    ],
    resolution: '768P',
    duration: 6,
  })
})

it.each([
  ['v2', minimax, { task: { id: 't', status: 'succeeded' } }],
  ['v1', minimaxHailuo, { task_id: 't', status: 'Success', file_id: '1', ...ok }],
])('gives %s the address of a callback, whose delivery names the task', async (_, one, body) => {
  const talk = await talkTo(one)
  const callbackUrl = 'https://a.example/hook'
  await talk.create({ callbackUrl }, { task_id: 't', ...ok })
  expect(talk.heard()[0]!.body).toMatchObject({ callback_url: callbackUrl })
  expect(one.webhook!.taskIdIn(body)).toBe('t')
})
