/**
 * The client against a gateway that answers what each test says: what the real one does only on bad
 * days.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Reelkeeper, type SceneVideo } from '../src/client.ts'

type Answer = (question: IncomingMessage, answer: ServerResponse) => unknown

let url = ''
let asked: string[] = []
let script: (line: string, question: IncomingMessage) => Answer
const server = createServer((question, answer) => {
  const line = `${question.method} ${question.url}`
  asked.push(line)
  script(line, question)(question, answer)
})
beforeEach(async () => {
  asked = []
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const video = (version: number, change: Partial<SceneVideo> = {}) =>
  ({ id: 'v', version, status: 'generating', attempt: 1, ...change }) as SceneVideo
const json =
  (body: unknown, status = 200): Answer =>
  (_, answer) =>
    answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const problem =
  (status: number, code: string, headers: Record<string, string> = {}): Answer =>
  (_, answer) =>
    answer.writeHead(status, { 'content-type': 'application/problem+json', ...headers }).end(
      JSON.stringify({
        status,
        code,
        detail: code,
        errors: [{ pointer: '/prompt', detail: 'is too long' }],
      }),
    )
const drop: Answer = (question) => question.socket.destroy()
const page = (data: SceneVideo[]) => json({ data, hasMore: false, next: null })
/** Sends these messages, then breaks off. */
const stream =
  (...messages: { id: string; event: string; data: SceneVideo }[]): Answer =>
  (_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const { id, event, data } of messages)
      answer.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    answer.write('', () => answer.destroy())
  }
const all = async (videos: AsyncIterable<SceneVideo>) => {
  const seen: string[] = []
  for await (const { id, version, status } of videos) seen.push(`${id} ${version} ${status}`)
  return seen
}
const scene = { projectId: 'p', scriptId: 's', sceneId: 'c' }

it('sends a submission again with the same key, until it is answered', async () => {
  const keys = new Set<unknown>()
  const answers = [
    drop,
    problem(503, 'not_ready', { 'retry-after': '0' }),
    problem(409, 'idempotency_key_in_flight', { 'retry-after': '0' }),
    json(video(1), 202),
  ]
  script = (_, question) => {
    keys.add(question.headers['idempotency-key'])
    return answers[asked.length - 1]!
  }
  const client = new Reelkeeper({ baseUrl: url })
  expect(await client.generateVideo(scene, { prompt: 'x' })).toEqual(video(1))
  expect([asked.length, keys.size]).toEqual([4, 1])
  script = (_, question) => {
    keys.add(question.headers['idempotency-key'])
    return json(video(1), 202)
  }
  await client.generateVideo(scene)
  expect(keys.size).toBe(2)
})

it('sends what may not be repeated once', async () => {
  script = () => drop
  await expect(new Reelkeeper({ baseUrl: url }).retryFailed('p')).rejects.toMatchObject({
    code: 'unreachable',
    status: 0,
  })
  expect(asked).toHaveLength(1)
})

it('pins the attempt of a retry, and takes the one its lost answer opened', async () => {
  const bodies: string[] = []
  script = (line, question) => {
    if (line.startsWith('GET')) return json(video(5, { attempt: bodies.length ? 2 : 1 }))
    question.on('data', (chunk: Buffer) => bodies.push(chunk.toString()))
    return bodies.length
      ? problem(409, 'not_failed')
      : (...both) => void question.on('end', () => drop(...both))
  }
  expect(await new Reelkeeper({ baseUrl: url }).retry('v')).toMatchObject({ attempt: 2 })
  expect(bodies).toEqual(['{"attempt":1}', '{"attempt":1}'])
})

it('tells a refusal of the gateway from an answer of something between', async () => {
  const client = new Reelkeeper({ baseUrl: `${url}/`, retries: 0 })
  script = () => problem(400, 'invalid_request')
  await expect(client.get('v')).rejects.toMatchObject({
    name: 'ReelkeeperError',
    code: 'invalid_request',
    status: 400,
    isFinal: true,
    errors: [{ pointer: '/prompt', detail: 'is too long' }],
  })
  script = () => (_, answer) => answer.writeHead(403).end('<h1>Blocked</h1>')
  await expect(client.get('v')).rejects.toMatchObject({
    code: 'unexpected_answer',
    status: 403,
    isFinal: false,
  })
  script = () => () => {}
  await expect(
    new Reelkeeper({ baseUrl: url, retries: 0, timeoutMs: 100 }).get('v'),
  ).rejects.toMatchObject({ code: 'timeout' })
  await expect(client.get('v', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
    'enough',
  )
})

it('resumes where a change came last, not within a snapshot, and yields no version twice', async () => {
  const resumed: unknown[] = []
  const streams = [
    stream({ id: '7-1', event: 'snapshot', data: video(1) }),
    stream(
      { id: '7-1', event: 'snapshot', data: video(1) },
      { id: '7-2', event: 'progress', data: video(2) },
    ),
    stream(
      { id: '7-2', event: 'progress', data: video(2) },
      { id: '7-3', event: 'completed', data: video(3, { status: 'completed' }) },
    ),
  ]
  script = (line, question) => {
    if (!line.endsWith('/events')) return json(video(1))
    resumed.push(question.headers['last-event-id'])
    return streams.shift()!
  }
  expect(await all(new Reelkeeper({ baseUrl: url }).watch({ videoId: 'v' }))).toEqual([
    'v 1 generating',
    'v 2 generating',
    'v 3 completed',
  ])
  expect(resumed).toEqual([undefined, undefined, '7-2'])
})

it('asks after what ended or came while the stream was gone', async () => {
  const stop = new AbortController()
  const a = video(1, { id: 'a' })
  const ended = { status: 'completed' as const }
  script = (line) => {
    if (line.includes('/events'))
      return asked.length === 1
        ? stream({ id: '7-1', event: 'snapshot', data: a })
        : (_, answer) =>
            answer.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n')
    if (line === 'GET /api/scene-videos/a') return json(video(9, { id: 'a', ...ended }))
    return page(
      line.includes('status=')
        ? []
        : [
            video(9, { id: 'b', ...ended }),
            video(9, { id: 'a', ...ended }),
            video(9, { id: '0', ...ended }),
          ],
    )
  }
  const seen: string[] = []
  for await (const { id, version } of new Reelkeeper({ baseUrl: url }).watch(
    { projectId: 'p' },
    { signal: stop.signal },
  )) {
    seen.push(`${id} ${version}`)
    if (seen.length === 3) stop.abort()
  }
  expect(seen).toEqual(['a 1', 'a 9', 'b 9'])
})

/** Stays open, and says this. */
const staying =
  (...messages: { id: string; event: string; data: SceneVideo }[]): Answer =>
  (_, answer) => {
    answer.writeHead(200, { 'content-type': 'text/event-stream' }).write(':\n\n')
    for (const { id, event, data } of messages)
      answer.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  }

it.each([
  [
    'begins anew, as nothing of it was heard but a snapshot',
    [{ id: '7-1', event: 'snapshot', data: video(1) }],
    [],
  ],
  [
    'is answered with a snapshot, as its id is not known any more',
    [{ id: '7-2', event: 'progress', data: video(1) }],
    [{ id: '8-0', event: 'snapshot', data: video(1, { id: 'other' }) }],
  ],
  [
    'is resumed after failures, maybe of a store that has gone back',
    [{ id: '7-2', event: 'progress', data: video(1) }],
    [],
  ],
])(
  'asks once more when a stream that %s, and tells what ended between the last question and its opening',
  async (_, before, after) => {
    let streams = 0
    script = (line) => {
      if (line.includes('/events')) return ++streams === 1 ? stream(...before) : staying(...after)
      if (line === 'GET /api/scene-videos/v')
        return json(streams < 2 ? video(1) : video(9, { status: 'completed' }))
      return page(line.includes('status=generating') && streams < 2 ? [video(1)] : [])
    }
    const stop = new AbortController()
    const seen: string[] = []
    for await (const { id, version } of new Reelkeeper({ baseUrl: url }).watch(
      { projectId: 'p' },
      { signal: AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]) },
    )) {
      seen.push(`${id} ${version}`)
      if (version === 9) stop.abort()
    }
    expect(seen.filter((one) => one.startsWith('v'))).toEqual(['v 1', 'v 9'])
    expect(streams).toBe(2)
  },
)

it('asks nothing more when a stream that lasted is resumed: what came meanwhile follows', async () => {
  let streams = 0
  script = (line) => {
    if (!line.includes('/events')) return page([])
    return ++streams === 1
      ? (_, answer) => {
          answer
            .writeHead(200, { 'content-type': 'text/event-stream' })
            .write(`id: 7-2\nevent: progress\ndata: ${JSON.stringify(video(1))}\n\n`)
          setTimeout(() => answer.destroy(), 3_200)
        }
      : staying({ id: '7-3', event: 'completed', data: video(2, { status: 'completed' }) })
  }
  expect(await all(new Reelkeeper({ baseUrl: url }).watch({ videoId: 'v' }))).toEqual([
    'v 1 generating',
    'v 2 completed',
  ])
  expect(asked.filter((line) => !line.includes('/events'))).toEqual([])
})

it('gives a silent stream up, and asks instead', async () => {
  script = (line) =>
    line.endsWith('/events')
      ? (_, answer) => answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      : json(video(4, { status: 'failed' }))
  expect(
    await all(new Reelkeeper({ baseUrl: url, openMs: 1_000 }).watch({ videoId: 'v' })),
  ).toEqual(['v 4 failed'])
  expect(asked.filter((line) => line.endsWith('/events'))).toHaveLength(1)
})

it('throws what asking again cannot mend, and only ends when aborted', async () => {
  script = () => problem(404, 'not_found')
  await expect(all(new Reelkeeper({ baseUrl: url }).watch({ videoId: 'v' }))).rejects.toMatchObject(
    { code: 'not_found' },
  )
  expect(asked).toHaveLength(1)
  const stop = new AbortController()
  script = () => () => stop.abort()
  expect(await all(new Reelkeeper({ baseUrl: url }).watch({}, { signal: stop.signal }))).toEqual([])
})

it('gets a fresh token for each stream, and believes no refusal of a question asked with it', async () => {
  let given = 0
  const used: string[] = []
  script = (line) => {
    if (!line.includes('/events')) return problem(401, 'unauthorized')
    used.push(line.replace(/.*token=/, ''))
    return used.length === 1
      ? drop
      : stream({ id: '7-1', event: 'snapshot', data: video(3, { status: 'completed' }) })
  }
  expect(
    await all(new Reelkeeper({ baseUrl: url, token: () => `t${++given}` }).watch({ videoId: 'v' })),
  ).toEqual(['v 3 completed'])
  expect(used).toHaveLength(2)
  expect(new Set(used).size).toBe(2)
  expect(asked.some((line) => line === 'GET /api/scene-videos/v')).toBe(true)
})
