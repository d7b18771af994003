/** What the client follows: streams that break, end, are silent or blocked. */
import { expect, it } from 'vitest'
import { Reelkeeper, type SceneVideo } from '../src/client.ts'
import {
  all,
  drop,
  json,
  page,
  problem,
  stream,
  video,
  FakeGateway,
  type Answer,
} from './fake-gateway.ts'

const gateway = new FakeGateway()

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
  gateway.script = (line, question) => {
    if (!line.endsWith('/events')) return json(video(1))
    resumed.push(question.headers['last-event-id'])
    return streams.shift()!
  }
  expect(await all(new Reelkeeper({ baseUrl: gateway.url }).watch({ videoId: 'v' }))).toEqual([
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
  gateway.script = (line) => {
    if (line.includes('/events'))
      return gateway.asked.length === 1
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
  for await (const { id, version } of new Reelkeeper({ baseUrl: gateway.url }).watch(
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
    gateway.script = (line) => {
      if (line.includes('/events')) return ++streams === 1 ? stream(...before) : staying(...after)
      if (line === 'GET /api/scene-videos/v')
        return json(streams < 2 ? video(1) : video(9, { status: 'completed' }))
      return page(line.includes('status=generating') && streams < 2 ? [video(1)] : [])
    }
    const stop = new AbortController()
    const seen: string[] = []
    for await (const { id, version } of new Reelkeeper({ baseUrl: gateway.url }).watch(
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
  gateway.script = (line) => {
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
  expect(await all(new Reelkeeper({ baseUrl: gateway.url }).watch({ videoId: 'v' }))).toEqual([
    'v 1 generating',
    'v 2 completed',
  ])
  expect(gateway.asked.filter((line) => !line.includes('/events'))).toEqual([])
})

it('gives a silent stream up, and asks instead', async () => {
  gateway.script = (line) =>
    line.endsWith('/events')
      ? (_, answer) => answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      : json(video(4, { status: 'failed' }))
  expect(
    await all(new Reelkeeper({ baseUrl: gateway.url, openMs: 1_000 }).watch({ videoId: 'v' })),
  ).toEqual(['v 4 failed'])
  expect(gateway.asked.filter((line) => line.endsWith('/events'))).toHaveLength(1)
})

it('throws what asking again cannot mend, and only ends when aborted', async () => {
  gateway.script = () => problem(404, 'not_found')
  await expect(
    all(new Reelkeeper({ baseUrl: gateway.url }).watch({ videoId: 'v' })),
  ).rejects.toMatchObject({ code: 'not_found' })
  expect(gateway.asked).toHaveLength(1)
  const stop = new AbortController()
  gateway.script = () => () => stop.abort()
  expect(
    await all(new Reelkeeper({ baseUrl: gateway.url }).watch({}, { signal: stop.signal })),
  ).toEqual([])
})

it('gets a fresh token for each stream, and believes no refusal of a question asked with it', async () => {
  let given = 0
  const used: string[] = []
  gateway.script = (line) => {
    if (!line.includes('/events')) return problem(401, 'unauthorized')
    used.push(line.replace(/.*token=/, ''))
    return used.length === 1
      ? drop
      : stream({ id: '7-1', event: 'snapshot', data: video(3, { status: 'completed' }) })
  }
  expect(
    await all(
      new Reelkeeper({ baseUrl: gateway.url, token: () => `t${++given}` }).watch({ videoId: 'v' }),
    ),
  ).toEqual(['v 3 completed'])
  expect(used).toHaveLength(2)
  expect(new Set(used).size).toBe(2)
  expect(gateway.asked.some((line) => line === 'GET /api/scene-videos/v')).toBe(true)
})
