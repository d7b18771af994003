import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { openrouter } from './openrouter.ts'

const subjects = [subjectOf(openrouter, { unsaid: ['link'] })]
subjects.forEach(conformance)
againstTheSimulator(subjects)

const id = 'gen-vid-1760000000-abcdefghij0123456789'

it('reads an acceptance that is 202, and asks where it was told', async () => {
  const talk = await talkTo(openrouter)
  const said = { status: 202, body: { id, polling_url: `/api/v1/videos/${id}`, status: 'pending' } }
  expect(await talk.create({}, said)).toEqual({ kind: 'accepted', taskId: id })
})

it.each([
  ['waiting', { status: 'pending' }, { kind: 'working', phase: 'queued' }],
  ['running', { status: 'in_progress' }, { kind: 'working', phase: 'running', progress: null }],
  ['cancelled', { status: 'cancelled' }, { error: { code: 'cancelled' } }],
  ['expired', { status: 'expired' }, { error: { code: 'timed_out' } }],
  [
    'failed',
    { status: 'failed', error: 'why' },
    { error: { code: 'provider_failed', message: 'why' } },
  ],
  ['done, nothing there', { status: 'completed', unsigned_urls: [] }, { kind: 'unusable' }],
  [
    'done, a relative link',
    { status: 'completed', unsigned_urls: ['/base/videos/x/content?index=0'] },
    {
      kind: 'done',
      videoUrl: expect.stringMatching(/^http.*\/base\/videos\/x\/content\?index=0$/),
    },
  ],
  [
    'done, a signed link beside the one that needs the key',
    { status: 'completed', unsigned_urls: ['https://o.example/1'], urls: ['https://s.example/2'] },
    { kind: 'done', videoUrl: 'https://s.example/2' },
  ],
])('reads an answer to a query: %s', async (_, said, meant) => {
  const talk = await talkTo(openrouter)
  expect(await talk.get(id, { id, ...said })).toMatchObject(meant)
})

it.each([
  [402, 'Insufficient credits', 'insufficient_balance'],
  [403, 'Your chosen model requires moderation and your input was flagged', 'content_policy'],
  [403, 'Key limit exceeded', 'insufficient_balance'],
  [400, 'duration must be one of 4, 6, 8', 'invalid_request'],
  [401, 'No cookie auth credentials found', 'bad_key'],
])('reads a refusal: %i %s', async (status, message, code) => {
  const talk = await talkTo(openrouter)
  const said = { status, body: { error: { code: status, message } } }
  expect(await talk.create({}, said)).toMatchObject({ kind: 'refused', error: { code, message } })
  // whatever the status is
  expect(await talk.create({}, { ...said, status: 200 })).toMatchObject({ kind: 'refused' })
})

it.each([
  [402, { kind: 'refused', error: { code: 'insufficient_balance' } }],
  [429, { kind: 'later' }],
])('reads %i that is said under 200', async (code, meant) => {
  const talk = await talkTo(openrouter)
  expect(await talk.create({}, { error: { code, message: 'no' } })).toMatchObject(meant)
})

it('does not take 404 for absence but in its own words', async () => {
  const talk = await talkTo(openrouter)
  const gone = { status: 404, body: { error: { code: 404, message: 'Not found' } } }
  expect(await talk.get(id, gone)).toEqual({ kind: 'missing' })
  expect(await talk.get(id, { status: 404, body: '404 page not found' })).toMatchObject({
    kind: 'none',
  })
})

it('knows its webhooks by a signature over the time, a comma and the body', () => {
  const { isSigned } = openrouter.webhook!
  const [secret, body, at] = ['whsec', '{"type":"video.generation.completed"}', 1_760_000_000]
  const sign = (text: string) => createHmac('sha256', secret).update(text).digest('hex')
  const signed = (signature: string, now = at) =>
    isSigned!(
      secret,
      {
        method: 'POST',
        path: '/',
        body,
        header: (name) => (name === 'x-openrouter-signature' ? signature : ''),
      },
      now,
    )
  expect(signed(`t=${at},v1=${sign(`${at},${body}`)}`)).toBe(true)
  expect(signed(`t=${at},v1=${sign(`${at}.${body}`)}`)).toBe(false)
  expect(signed(`t=${at},v1=${sign(`${at},${body}`)}`, at + 301)).toBe(false)
  expect(signed('')).toBe(false)
})
