/** Requests of the client: what is sent again, and how; refusals; tokens. */
import { expect, it } from 'vitest'
import { Reelkeeper } from '../src/client.ts'
import { drop, json, page, problem, scene, video, FakeGateway } from './fake-gateway.ts'

const gateway = new FakeGateway()

it('sends a submission again with the same key, until it is answered', async () => {
  const keys = new Set<unknown>()
  const answers = [
    drop,
    problem(503, 'not_ready', { 'retry-after': '0' }),
    problem(409, 'idempotency_key_in_flight', { 'retry-after': '0' }),
    json(video(1), 202),
  ]
  gateway.script = (_, question) => {
    keys.add(question.headers['idempotency-key'])
    return answers[gateway.asked.length - 1]!
  }
  const client = new Reelkeeper({ baseUrl: gateway.url })
  expect(await client.generateVideo(scene, { prompt: 'x' })).toEqual(video(1))
  expect([gateway.asked.length, keys.size]).toEqual([4, 1])
  gateway.script = (_, question) => {
    keys.add(question.headers['idempotency-key'])
    return json(video(1), 202)
  }
  await client.generateVideo(scene)
  expect(keys.size).toBe(2)
})

it('sends what may not be repeated once', async () => {
  gateway.script = () => drop
  await expect(new Reelkeeper({ baseUrl: gateway.url }).retryFailed('p')).rejects.toMatchObject({
    code: 'unreachable',
    status: 0,
  })
  expect(gateway.asked).toHaveLength(1)
})

it('pins the attempt of a retry, and takes the one its lost answer opened', async () => {
  const bodies: string[] = []
  gateway.script = (line, question) => {
    if (line.startsWith('GET')) return json(video(5, { attempt: bodies.length ? 2 : 1 }))
    question.on('data', (chunk: Buffer) => bodies.push(chunk.toString()))
    return bodies.length
      ? problem(409, 'not_failed')
      : (...both) => void question.on('end', () => drop(...both))
  }
  expect(await new Reelkeeper({ baseUrl: gateway.url }).retry('v')).toMatchObject({ attempt: 2 })
  expect(bodies).toEqual(['{"attempt":1}', '{"attempt":1}'])
})

it('tells a refusal of the gateway from an answer of something between', async () => {
  const client = new Reelkeeper({ baseUrl: `${gateway.url}/`, retries: 0 })
  gateway.script = () => problem(400, 'invalid_request')
  await expect(client.get('v')).rejects.toMatchObject({
    name: 'ReelkeeperError',
    code: 'invalid_request',
    status: 400,
    isFinal: true,
    errors: [{ pointer: '/prompt', detail: 'is too long' }],
  })
  gateway.script = () => (_, answer) => answer.writeHead(403).end('<h1>Blocked</h1>')
  await expect(client.get('v')).rejects.toMatchObject({
    code: 'unexpected_answer',
    status: 403,
    isFinal: false,
  })
  gateway.script = () => () => {}
  await expect(
    new Reelkeeper({ baseUrl: gateway.url, retries: 0, timeoutMs: 100 }).get('v'),
  ).rejects.toMatchObject({ code: 'timeout' })
  await expect(client.get('v', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
    'enough',
  )
})

it('asks with all that a list may be narrowed by, and waits as long as it was told to', async () => {
  const prefers: unknown[] = []
  gateway.script = (_, question) => {
    prefers.push(question.headers.prefer)
    return question.url!.includes('v1') ? json(video(1)) : page([])
  }
  const client = new Reelkeeper({ baseUrl: gateway.url })
  await client.page({ status: ['failed', 'pending'], metadata: { shot: '7' }, order: 'asc' })
  await client.get('v1', { waitSeconds: 60 })
  expect(gateway.asked).toEqual([
    'GET /api/scene-videos?status=failed&status=pending&metadata.shot=7&order=asc&limit=100',
    'GET /api/scene-videos/v1',
  ])
  expect(prefers).toEqual([undefined, 'wait=60'])
})

it('keeps a token until shortly before its end, and forgets one that is refused', async () => {
  let given = 0
  const make = (expiresInSeconds: number) => () => ({ token: `t${++given}`, expiresInSeconds })
  const used: (string | undefined)[] = []
  gateway.script = (_, { headers }) => {
    used.push(headers.authorization)
    return used.length === 4 ? problem(401, 'unauthorized') : json(video(1))
  }
  const lasting = new Reelkeeper({ baseUrl: gateway.url, token: make(300) })
  for (let i = 0; i < 3; i++) await lasting.get('v')
  await expect(lasting.get('v')).rejects.toMatchObject({ status: 401 })
  await lasting.get('v')
  const ending = new Reelkeeper({ baseUrl: gateway.url, token: make(20) })
  for (let i = 0; i < 2; i++) await ending.get('v')
  const bearers = ['t1', 't1', 't1', 't1', 't2', 't3', 't4'].map((one) => `Bearer ${one}`)
  expect(used).toEqual(bearers)
})
