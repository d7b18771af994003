import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { dashscope } from './dashscope.ts'

const subject = subjectOf(dashscope)
conformance(subject)
againstTheSimulator([subject])

const task = (output: object) => ({ request_id: 'r', output: { task_id: 't', ...output } })
const accepted = task({ task_status: 'PENDING' })
const image = 'https://a.example/1.png'

it.each([
  [
    'text, as 2.7 has it',
    { model: 'wan2.7-t2v', aspectRatio: '9:16', resolution: '720p', durationSeconds: 5 },
    {
      input: { prompt: 'a fox' },
      parameters: { resolution: '720P', ratio: '9:16', duration: 5 },
    },
  ],
  [
    'a first frame, without the ratio that is refused beside it',
    { model: 'wan2.7-i2v', aspectRatio: '9:16', imageUrls: [image] },
    { input: { prompt: 'a fox', media: [{ type: 'first_frame', url: image }] }, parameters: {} },
  ],
  [
    'a size with an asterisk, up to 2.6',
    { model: 'wan2.6-t2v', aspectRatio: '9:16', resolution: '720p' },
    { input: { prompt: 'a fox' }, parameters: { size: '720*1280' } },
  ],
  [
    'no watermark, which HappyHorse sets otherwise',
    { model: 'happyhorse-1.1-t2v' },
    { input: { prompt: 'a fox' }, parameters: { watermark: false } },
  ],
])('sends %s', async (_, asked, body) => {
  const talk = await talkTo(dashscope)
  expect(await talk.create(asked, accepted)).toEqual({ kind: 'accepted', taskId: 't' })
  const [heard] = talk.heard()
  expect(heard!.body).toEqual({ model: asked.model, ...body })
  expect(heard!.headers['x-dashscope-async']).toBe('enable')
})

it('does not ask for a task in the asynchronous form', async () => {
  const talk = await talkTo(dashscope)
  await talk.get('t', task({ task_status: 'RUNNING' }))
  expect(talk.heard()[0]!.headers['x-dashscope-async']).toBeUndefined()
})

it.each([
  [400, 'Arrearage', { kind: 'refused', error: { code: 'insufficient_balance' } }],
  [403, 'AccessDenied.Unpurchased', { error: { code: 'insufficient_balance' } }],
  [429, 'PostpaidBillOverdue', { error: { code: 'insufficient_balance' } }],
  [429, 'Throttling.AllocationQuota', { kind: 'later' }],
  [403, 'Model.AccessDenied', { error: { code: 'invalid_request' } }],
  [400, 'InternalError.Timeout', { kind: 'unknown' }],
  [500, 'InvalidParameter', { kind: 'unknown' }],
])('reads what a create is answered: %i %s', async (status, code, meant) => {
  const talk = await talkTo(dashscope)
  const body = { code, message: 'why', request_id: 'r' }
  expect(await talk.create({}, { status, body })).toMatchObject(meant)
})

it('takes UNKNOWN in a 200 for absence', async () => {
  const talk = await talkTo(dashscope)
  expect(await talk.get('t', task({ task_status: 'UNKNOWN' }))).toEqual({ kind: 'missing' })
})

it('finds a lost create by the prompt that only a task that succeeded tells', async () => {
  const from = Date.UTC(2026, 0, 1)
  const item = (task_id: string, gmt_create = from + 1_000) => ({
    task_id,
    status: 'RUNNING',
    model_name: 'm',
    gmt_create,
  })
  const page = (page_no: number, ...data: object[]) => ({ total_page: 2, page_no, data })
  const list = [page(1, item('a'), item('early', from - 10 * 60_000)), page(2, item('b'))]
  const talk = await talkTo(dashscope)
  const other = {
    request_id: 'r',
    output: { task_id: 'a', task_status: 'SUCCEEDED', orig_prompt: 'x' },
  }
  const running = { request_id: 'r', output: { task_id: 'b', task_status: 'RUNNING' } }
  const ours = { ...running, output: { ...running.output, orig_prompt: 'a fox' } }
  expect(await talk.search({ from }, ...list, other, running)).toMatchObject({ kind: 'doubtful' })
  expect(await talk.search({ from }, ...list, other, ours)).toEqual({ kind: 'found', taskId: 'b' })
  const both = { request_id: 'r', output: { task_id: 'a', orig_prompt: 'a fox' } }
  expect(await talk.search({ from }, ...list, both, ours)).toMatchObject({ kind: 'doubtful' })
})
