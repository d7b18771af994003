import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readCreate, readTask } from './edge/meaning.ts'
import { createToapis, toapisDialect } from '../../test/support/toapis.ts'

const error = (code: string) => JSON.stringify({ error: { code, message: 'why' } })

const toapis = toapisDialect()
describe('what an answer to a create means', () => {
  it.each([
    [200, '{"id":"video_1","status":"queued"}', { kind: 'accepted', taskId: 'video_1' }],
    [
      200,
      '{"code":200,"data":[{"status":"submitted","task_id":"task_2"}]}',
      { kind: 'accepted', taskId: 'task_2' },
    ],
    [200, '{"id": "vid', { kind: 'unreadable' }],
    [200, '{}', { kind: 'unreadable' }],
    [200, error('content_policy'), { kind: 'refused', error: { code: 'content_policy' } }],
    [400, error('invalid_request'), { kind: 'refused', error: { code: 'invalid_request' } }],
    [401, error('invalid_api_key'), { kind: 'refused', error: { code: 'bad_key' } }],
    [
      402,
      error('insufficient_balance'),
      { kind: 'refused', error: { code: 'insufficient_balance' } },
    ],
    [
      422,
      error('content_policy_violation'),
      { kind: 'refused', error: { code: 'content_policy' } },
    ],
    [422, '<html>', { kind: 'refused', error: { code: 'invalid_request' } }],
    [429, error('rate_limit_exceeded'), { kind: 'later', retryAfterMs: 7_000 }],
    [503, error('rate_limit_unavailable'), { kind: 'later', retryAfterMs: 7_000 }],
    [503, error('overloaded'), { kind: 'unknown' }],
    [502, '<html>', { kind: 'unknown' }],
    [500, error('internal_error'), { kind: 'unknown' }],
  ])('%i %s', (status, body, meaning) => {
    expect(
      readCreate(
        toapis,
        { status, headers: { 'retry-after': '7' }, text: body },
        { ownId: 'o', model: 'm', prompt: 'p' },
      ),
    ).toMatchObject(meaning)
  })
})

describe('what an answer to a poll means', () => {
  it.each([
    [
      200,
      '{"id":"v","status":"queued","progress":0}',
      { kind: 'working', phase: 'queued', progress: 0 },
    ],
    [
      200,
      '{"id":"v","status":"in_progress"}',
      { kind: 'working', phase: 'running', progress: null },
    ],
    [
      200,
      '{"id":"v","status":"completed","expires_at":1900000000,"result":{"type":"video","data":[{"url":"https://e.com/v"}]}}',
      { kind: 'done', videoUrl: 'https://e.com/v', expiresAt: '2030-03-17T17:46:40.000Z' },
    ],
    [200, '{"id":"v","status":"completed"}', { kind: 'unusable' }],
    [
      200,
      '{"id":"v","status":"failed","error":{"code":"x","message":"y"}}',
      { kind: 'failed', error: { code: 'provider_failed', message: 'y' } },
    ],
    [200, '{"id":"v","status":"reticulating"}', { kind: 'unknown' }],
    [200, 'not json', { kind: 'none' }],
    [404, error('task_not_found'), { kind: 'missing' }],
    [404, '<html>', { kind: 'none' }],
    [401, error('invalid_api_key'), { kind: 'none' }],
    [429, error('rate_limit_exceeded'), { kind: 'later' }],
    [500, '', { kind: 'none' }],
  ])('%i %s', (status, body, meaning) => {
    expect(
      readTask(toapis, { status, headers: {}, text: body }, { taskId: 'v' }, 'https://e.com/v1')
        .answer,
    ).toMatchObject(meaning)
  })
})

const batchPath = '/videos/generations/batch'
const running = (id: string) => ({ id, status: 'in_progress', progress: 40 })

/**
 * A server that answers queries of many by `many`, and knows each task when asked for it alone.
 * What was asked, in order.
 */
async function serve(many: (response: ServerResponse) => void, getTimeoutMs = 10_000) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const path = request.url!.slice('/v1/videos/generations/'.length)
    asked.push(path)
    if (path === 'batch') many(response)
    else response.end(JSON.stringify(running(path)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const provider = createToapis({
    createTimeoutMs: 10_000,
    getTimeoutMs,
    allowPrivate: true,
    batchPath,
  })
  onTestFinished(async () => {
    await provider[Symbol.asyncDispose]()
    server.close()
  })
  return {
    asked,
    provider,
    account: {
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      apiKey: 'sk-x',
    },
  }
}

describe('a query of many', () => {
  it('answers in the order asked, and leaves open what was left out or told without a name', async () => {
    const { asked, provider, account } = await serve((response) =>
      response.end(
        JSON.stringify({
          data: [
            { ...running('c'), progress: 7 },
            { status: 'completed' },
            { ...running('a'), status: 'queued' },
          ],
        }),
      ),
    )
    expect(provider.mostAtOnce(account)).toBe(100)
    const { answers } = await provider.getMany(account, ['a', 'b', 'c'])
    expect(answers.map((one) => one && { ...one })).toMatchObject([
      { phase: 'queued' },
      null,
      { phase: 'running', progress: 7 },
    ])
    expect(asked).toEqual(['batch'])
  })

  it('asks one by one, from then on, where nobody answers queries of many', async () => {
    const { asked, provider, account } = await serve((response) =>
      response.writeHead(404).end('<html>'),
    )
    expect((await provider.getMany(account, ['a', 'b'])).answers).toEqual([null, null])
    expect(asked).toEqual(['batch'])
    expect(provider.mostAtOnce(account)).toBe(1)
  })

  it.each([
    [429, error('rate_limit_exceeded'), 'later'],
    [503, error('rate_limit_unavailable'), 'later'],
    [502, '<html>', 'none'],
    [401, error('invalid_api_key'), 'none'],
  ])('%i is the answer for all of them', async (status, body, kind) => {
    const { asked, provider, account } = await serve((response) =>
      response.writeHead(status).end(body),
    )
    expect(
      (await provider.getMany(account, ['a', 'b'])).answers.map((answer) => answer?.kind),
    ).toEqual([kind, kind])
    expect(asked).toEqual(['batch'])
    expect(provider.mostAtOnce(account)).toBe(100)
  })

  it('knows nothing of them after a time-out', async () => {
    const { asked, provider, account } = await serve(() => {}, 500)
    expect(
      (await provider.getMany(account, ['a', 'b'])).answers.map((answer) => answer?.kind),
    ).toEqual(['none', 'none'])
    expect(asked).toEqual(['batch'])
  })
})
