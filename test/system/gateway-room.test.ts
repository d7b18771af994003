/** Whom the gateway turns away: too many requests or streams, no room, other origins. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { SseReader, WebSocketReader } from '../support/live-reader.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let url = ''
beforeAll(async () => {
  await stack.start()
  url = (
    await stack.gateway({
      CORS_ORIGINS: 'https://studio.example',
      RATE_LIMIT_PER_MINUTE: '20',
    })
  ).url
})
afterAll(() => stack[Symbol.asyncDispose]())

it('answers a user while another one’s queries wait for a lock, however many', async () => {
  const key = await stack.stranger()
  const list = (path: string, more: { key?: string } = {}) => stack.ask('GET', path, more)
  expect((await list('/api/scene-videos', { key })).status).toBe(200)
  expect((await list('/api/projects')).status).toBe(200)
  const holder = new pg.Client(stack.databaseUrl)
  await holder.connect()
  await holder.query('BEGIN; LOCK TABLE "Project" IN ACCESS EXCLUSIVE MODE')
  let answered = 0
  const waiting = Array.from({ length: 30 }, () => list('/api/projects').finally(() => answered++))
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect((await list('/api/scene-videos', { key })).status).toBe(200)
  // each waits for the lock for two seconds, and in turn
  expect(answered).toBeLessThanOrEqual(10)
  await holder.query('COMMIT')
  await holder.end()
  await Promise.all(waiting)
})

describe('limits', () => {
  it('end the streams of one gateway at a number: 503 and Retry-After, until one is closed', async () => {
    const gateway = await stack.gateway({ MAX_STREAMS: '2', MAX_STREAMS_PER_USER: '2' })
    const [one, two] = [
      await SseReader.open(stack, '/api/events', { url: gateway.url }),
      await WebSocketReader.open(stack, { url: gateway.url }),
    ]
    const refused = await stack.ask('GET', '/api/events', { url: gateway.url })
    expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
      503,
      'too_many_streams',
      '5',
    ])
    await expect(WebSocketReader.open(stack, { url: gateway.url })).rejects.toThrow('did not open')
    expect((await stack.ask('GET', '/api/scene-videos', { url: gateway.url })).status).toBe(200)
    one.close()
    await until('room for one', async () => {
      const again = await fetch(`${gateway.url}/api/events`, {
        headers: { authorization: `Bearer ${stack.apiKey}` },
      })
      await again.body!.cancel()
      return again.status === 200 || undefined
    })
    two.close()
  })

  it('count per user, say what is left, and end with 429 and Retry-After', async () => {
    const key = await stack.stranger()
    const answers = []
    for (let i = 0; i < 21; i++)
      answers.push(await stack.ask('GET', '/api/scene-videos', { url, key }))
    expect(answers[0]!.headers.get('ratelimit-limit')).toBe('20')
    expect(answers.map((one) => one.headers.get('ratelimit-remaining'))).toEqual([
      ...Array.from({ length: 20 }, (_, i) => String(19 - i)),
      '0',
    ])
    expect([
      answers[20]!.status,
      answers[20]!.body['code'],
      Number(answers[20]!.headers.get('retry-after')) > 0,
    ]).toEqual([429, 'rate_limited', true])
    expect(
      (await stack.ask('GET', '/api/scene-videos', { url, key: await stack.stranger() })).status,
    ).toBe(200)
  })

  it('shed load when the event loop lags: 503, Retry-After, and still alive', async () => {
    const busy = await stack.gateway({ MAX_EVENT_LOOP_DELAY_MS: '20' })
    const work = setInterval(() => {
      for (const end = performance.now() + 150; performance.now() < end;);
    }, 200)
    const refused = await (async () => {
      for (let i = 0; i < 100; i++) {
        const answer = await stack.ask('GET', '/api/scene-videos', { url: busy.url })
        if (answer.status === 503) return answer
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      return undefined
    })().finally(() => clearInterval(work))
    expect([refused?.body['code'], refused?.headers.get('retry-after')]).toEqual([
      'overloaded',
      '2',
    ])
    expect((await fetch(`${busy.url}/livez`)).status).toBe(200)
  })

  it('refuse a body that is too large', async () => {
    const { status, body } = await stack.ask('POST', '/api/projects', {
      body: JSON.stringify({ title: 'x'.repeat(300_000) }),
    })
    expect([status, body['code']]).toEqual([413, 'too_large'])
  })
})

describe('browsers', () => {
  it('of an allowed origin may call and read streams; of another they may not', async () => {
    const headers = { authorization: `Bearer ${stack.apiKey}` }
    for (const [origin, allowed] of [
      ['https://studio.example', 'https://studio.example'],
      ['https://evil.example', null],
    ] as const) {
      const preflight = await fetch(`${url}/api/projects`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,idempotency-key',
        },
      })
      expect(preflight.headers.get('access-control-allow-origin')).toBe(allowed)
      const stream = await fetch(`${url}/api/events`, { headers: { ...headers, origin } })
      expect(stream.headers.get('access-control-allow-origin')).toBe(allowed)
      await stream.body!.cancel()
    }
    expect(
      (
        await fetch(`${stack.gatewayUrl}/api/scene-videos`, {
          headers: { ...headers, origin: 'https://studio.example' },
        })
      ).headers.get('access-control-allow-origin'),
    ).toBeNull()
  })
})
