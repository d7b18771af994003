/**
 * How providers really answer: each kind as a server says it, with what is to be made of it. One
 * adapter stands for all, since all send and read through the same edge.
 */
import {
  done,
  link,
  says,
  startCases,
  task,
  type Cases,
  type Serve,
} from '../../test/support/provider-cases.ts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
const day = Math.floor(new Date('2099-01-01').getTime() / 1000)

let cases: Cases
beforeAll(async () => {
  cases = await startCases()
})
afterAll(() => cases[Symbol.asyncDispose]())

const running = (progress: unknown) => says(task({ status: 'in_progress', progress }))
const working = (progress: number | null) => ({ kind: 'working', progress })
const completed = (videoUrl = link) => ({ kind: 'done', videoUrl })
const noResult = { kind: 'unusable', error: { code: 'no_result' } }
const failed = (code: string, text: string) => ({
  kind: 'failed',
  error: { code, message: expect.stringContaining(text) },
})
const answers = [
  ['about another task', says({ ...done(link), id: 'other' }), { kind: 'unknown' }],
  [
    'about another, by its other name',
    says({ ...done(link), id: null, task_id: 'x' }),
    { kind: 'unknown' },
  ],
  ['about another, failed', says({ id: 'other', status: 'failed' }), { kind: 'unknown' }],
  [
    'a redirect',
    says('', 302, { location: '/y' }),
    { kind: 'none', reason: '302 redirected to /y' },
  ],
  [
    'a redirect that repeats the key',
    says('', 302, { location: '/y?key=needle%2Fof-this-test' }),
    { kind: 'none', reason: '302 redirected to /y?key=[key]' },
  ],
  [
    'a reason that repeats the key, escaped',
    says(String.raw`{"id":"t","status":"failed","error":"bad n\u0065edle\/of-this-test"}`),
    failed('provider_failed', 'bad [key]'),
  ],
  ['in capitals', says({ ...done(link), status: 'COMPLETED' }), completed()],
  ['with a blank', says({ ...done(link), status: 'Completed ' }), completed()],
  ['in mixed letters', says(task({ status: 'In_Progress' })), working(null)],
  ['a word nobody knows', says(task({ status: 'reticulating' })), { kind: 'unknown' }],
  ['done, without data', says(task({ result: { data: [] } })), noResult],
  ['done, with an empty link', says(done('')), noResult],
  ['done, with null', says(done(null)), noResult],
  [
    'the second entry has the link',
    says(task({ result: { data: [{ url: null }, { url: link }] } })),
    completed(),
  ],
  ['entries are links', says(task({ result: { data: [link] } })), completed()],
  [
    'a relative link',
    says(done('/v1/videos/42/content')),
    {
      kind: 'done',
      videoUrl: expect.stringMatching(/^http:\/\/127.*\/v1\/videos\/42\/content$/),
    },
  ],
  [
    'a link without a scheme',
    says(done('//cdn.example.com/a')),
    completed('http://cdn.example.com/a'),
  ],
  ['javascript', says(done('javascript:alert(1)')), noResult],
  ['data', says(done('data:text/html,x')), noResult],
  ['a file', says(done('file:///etc/passwd')), noResult],
  ['no link at all', says(done('not a url')), noResult],
  [
    'a link in Chinese',
    says(done('https://cdn.example.com/视频/灯塔 终版.mp4?sign=a+b')),
    completed(
      'https://cdn.example.com/%E8%A7%86%E9%A2%91/%E7%81%AF%E5%A1%94%20%E7%BB%88%E7%89%88.mp4?sign=a+b',
    ),
  ],
  [
    'a signed link, byte for byte',
    says(done(`${link}?x='%7e|{}~$`)),
    completed(`${link}?x='%7e|{}~$`),
  ],
  ...[0, '0', 86_400, '', '0001-01-01', null, -1].map((at) => [
    `expiry ${at}`,
    says(done(link, { expires_at: at })),
    { ...completed(), expiresAt: null },
  ]),
  [
    'expiry in milliseconds',
    says(done(link, { expires_at: day * 1000 })),
    { ...completed(), expiresAt: '2099-01-01T00:00:00.000Z' },
  ],
  [
    'expiry as a date',
    says(done(link, { expires_at: '2099-01-01' })),
    { ...completed(), expiresAt: '2099-01-01T00:00:00.000Z' },
  ],
  [
    'failed: success',
    says(task({ status: 'failed', error: { code: '0', message: 'success' } })),
    failed('provider_failed', 'no reason'),
  ],
  [
    'failed: OK',
    says(task({ status: 'failed', error: 'OK' })),
    failed('provider_failed', 'no reason'),
  ],
  [
    'failed, as text',
    says(task({ status: 'failed', error: 'out of memory' })),
    failed('provider_failed', 'out of memory'),
  ],
  [
    'failed, as fail_reason',
    says(task({ status: 'failed', fail_reason: 'no GPU' })),
    failed('provider_failed', 'no GPU'),
  ],
  ['cancelled there', says(task({ status: 'cancelled' })), failed('cancelled', 'cancelled')],
  ['expired there', says(task({ status: 'expired' })), failed('timed_out', 'expired')],
  ...[0.15, 0.3, '0.9', -1, 101, 'soon', {}].map((one) => [
    `progress ${String(one)}`,
    running(one),
    working(null),
  ]),
  ['progress as text', running('40%'), working(40)],
  ['progress of a hundred', running(100), working(100)],
] as [string, Serve, object][]

describe('an answer about a task', () => {
  it.each(answers)('%s', async (_name, now, meaning) => {
    expect(await cases.get(now)).toMatchObject(meaning)
  })

  it('names itself by a number above 2^53', async () => {
    const id = '9007199254740993'
    expect(await cases.get(says(`{"id":${id},"status":"queued"}`), id)).toMatchObject({
      phase: 'queued',
    })
    const other = says('{"id":9007199254740992,"status":"queued"}')
    expect(await cases.get(other, id)).toMatchObject({ kind: 'unknown' })
  })

  it('is found by own id: with a number, without an id, or as somebody else’s', async () => {
    const find = (body: object) => cases.find(body)
    expect(await find({ id: 7, status: 'queued' })).toMatchObject({ taskId: '7' })
    expect(await find({ status: 'queued' })).toMatchObject({ taskId: 'own-1' })
    expect(await find({ id: 't', client_business_id: 'own-2', status: 'queued' })).toMatchObject({
      taskId: null,
      answer: { kind: 'unknown' },
    })
  })
})
