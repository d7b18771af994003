/** Lists of videos: every filter alone and together, both orders, pages, counts, statistics. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { firstV7At, v7 } from '#libs/runtime/uuid.ts'
import { Stack } from '../support/gateway-kit.ts'

const stack = new Stack()
let stranger = ''

interface Made {
  id: string
  status: string
  phase: string
  errorCode: string | null
  provider: string
  model: string
  prompt: string
  params: { metadata: Record<string, string | number | boolean> }
}
let all: Made[] = []

const day = 24 * 3_600_000
const noon = Date.parse('2026-03-01T12:00:00.000Z')

beforeAll(async () => {
  await stack.start()
  stranger = await stack.stranger()
  const { userId, projectId, scriptId, sceneIds } = stack.demo
  const ends = [
    { status: 'pending', phase: 'queued', errorCode: null },
    { status: 'generating', phase: 'running', errorCode: null },
    { status: 'completed', phase: 'done', errorCode: null },
    { status: 'failed', phase: 'done', errorCode: 'content_policy' },
    { status: 'failed', phase: 'done', errorCode: 'timed_out' },
  ] as const
  all = Array.from({ length: 60 }, (_, i) => ({
    // one an hour
    id: `${firstV7At(noon + i * 3_600_000).slice(0, 14)}${v7().slice(14)}`,
    ...ends[i % ends.length]!,
    provider: i % 2 ? 'toapis' : 'other',
    model: i % 3 ? 'sora-2' : 'sora-2-pro',
    prompt: i % 7 ? `a boat ${i}` : `a 100%_kite ${i}`,
    params: { metadata: { order: `o-${i % 4}`, cut: i, draft: i % 2 === 0 } },
  }))
  for (const one of all)
    await stack.db.sceneVideo.create({
      data: {
        ...one,
        status: one.status as 'pending',
        userId,
        projectId,
        scriptId,
        sceneId: sceneIds[Number(one.id.at(-1)! > '7')]!,
        errorMessage: one.errorCode,
        requestedAt: new Date(noon),
        completedAt: one.status === 'completed' ? new Date(noon + 10_000) : null,
        taskId: `task-${one.id.slice(-4)}`,
      },
    })
})
afterAll(() => stack[Symbol.asyncDispose]())

const ask = (query: string, key = stack.apiKey) =>
  stack.ask('GET', `/api/scene-videos?${query}`, { key })
async function idsOf(query: string): Promise<string[]> {
  const ids: string[] = []
  for (let after = ''; ;) {
    const { status, body } = await ask(`limit=7&${query}${after && `&after=${after}`}`)
    expect(status, query).toBe(200)
    ids.push(...(body.data as unknown as Made[]).map((one) => one.id))
    if (!body['hasMore']) return ids
    after = String(body['next'])
  }
}
const newest = (fits: (one: Made) => boolean) =>
  all
    .filter(fits)
    .map((one) => one.id)
    .toReversed()

it.each<[string, (one: Made, i: number) => boolean]>([
  ['status=failed', (one) => one.status === 'failed'],
  ['status=failed&status=pending', ({ status }) => /failed|pending/.test(status)],
  ['phase=running', (one) => one.phase === 'running'],
  ['phase=running&phase=queued', ({ phase }) => /running|queued/.test(phase)],
  ['errorCode=timed_out', (one) => one.errorCode === 'timed_out'],
  ['errorCode=timed_out&errorCode=content_policy', (one) => one.errorCode !== null],
  ['status=failed&errorCode=timed_out', (one) => one.errorCode === 'timed_out'],
  ['provider=other', (one) => one.provider === 'other'],
  [
    'model=sora-2-pro&status=completed',
    (m) => m.model === 'sora-2-pro' && m.status === 'completed',
  ],
  ['q=kite', (one) => one.prompt.includes('kite')],
  ['q=100%25_', (one) => one.prompt.includes('100%_')],
  ['q=KITE&status=failed', (one) => one.prompt.includes('kite') && one.status === 'failed'],
  ['metadata.order=o-1', (one) => one.params.metadata['order'] === 'o-1'],
  ['metadata.cut=12', (one) => one.params.metadata['cut'] === 12],
  ['metadata.draft=true', (one) => one.params.metadata['draft'] === true],
  [
    'metadata.order=o-1&metadata.draft=false&status=failed',
    ({ params: { metadata }, status }) =>
      metadata['order'] === 'o-1' && metadata['draft'] === false && status === 'failed',
  ],
  ['metadata.nothing=x', () => false],
])('a list narrowed by %s has these and no others', async (query, fits) => {
  const wanted = newest(fits as (one: Made) => boolean)
  expect(await idsOf(query)).toEqual(wanted)
  expect(await idsOf(`${query}&order=asc`)).toEqual(wanted.toReversed())
  const counts = await stack.ask('GET', `/api/scene-videos/counts?${query}`)
  expect(counts.body).toMatchObject({ total: wanted.length, isPartial: false })
  const theirs = await ask(query, stranger)
  expect(theirs.body).toMatchObject({ data: [], hasMore: false })
})

it('a list is narrowed by the time of creation: from including, to excluding', async () => {
  const at = (hours: number) => new Date(noon + hours * 3_600_000).toISOString()
  const between = all.slice(10, 20).map((one) => one.id)
  expect(await idsOf(`createdFrom=${at(10)}&createdTo=${at(20)}`)).toEqual(between.toReversed())
  expect(await idsOf(`createdFrom=${at(59)}`)).toEqual([all[59]!.id])
  expect(await idsOf(`createdTo=${at(0)}`)).toEqual([])
})

it('a list is narrowed by project, script and scene, also together with a status', async () => {
  const { projectId, scriptId, sceneIds } = stack.demo
  const everything = newest(() => true)
  for (const query of [`projectId=${projectId}`, `scriptId=${scriptId}`])
    expect(await idsOf(query)).toEqual(everything)
  const [a, b] = [await idsOf(`sceneId=${sceneIds[0]}`), await idsOf(`sceneId=${sceneIds[1]}`)]
  expect([...a, ...b].toSorted()).toEqual(everything.toSorted())
  expect(await idsOf(`scriptId=${scriptId}&status=completed`)).toEqual(
    newest((one) => one.status === 'completed'),
  )
})

it('a list finds a video by its id, the beginning of it, and the task’s', async () => {
  const { id } = all[31]!
  for (const q of [id, id.toUpperCase(), id.slice(0, 13), `task-${id.slice(-4)}`])
    expect(await idsOf(`q=${q}`), q).toContain(id)
})

it.each([
  'offset=2',
  'sort=createdAt',
  'toString=x',
  'metadata.=x',
  'metadata=x',
  'Status=failed',
  'order=up',
  'status=done',
  'createdFrom=yesterday',
  'createdFrom=2026-03-01',
  'q=',
  'limit=0',
  'after=x',
  'status=failed&status=done',
  'metadata.a=x&metadata.a=y',
  'projectId=1',
])('a list refuses %s', async (query) => {
  const { status, body } = await ask(query)
  expect([status, body['code']]).toEqual([400, 'invalid_request'])
})

it('a list loses nothing and repeats nothing while videos are made', async () => {
  const first = await ask('limit=20')
  const { body } = await stack.ask('POST', '/api/videos', { body: { prompt: 'meanwhile' } })
  const second = await ask(`limit=100&after=${String(first.body['next'])}`)
  const ids = [first, second].flatMap((one) =>
    (one.body.data as unknown as Made[]).map(({ id }) => id),
  )
  expect(ids).toEqual(newest(() => true))
  expect(await idsOf('')).toEqual([String(body['id']), ...ids])
  await stack.db.timeline.deleteMany({ where: { videoId: String(body['id']) } })
  await stack.db.submission.deleteMany({ where: { videoId: String(body['id']) } })
  await stack.db.sceneVideo.delete({ where: { id: String(body['id']) } })
})

it.each(['/api/scene-videos', '/api/scene-videos/counts'])(
  '%s refuses a time of creation that ends before it begins',
  async (path) => {
    const query = 'createdFrom=2026-02-01T00:00:00Z&createdTo=2026-01-01T00:00:00Z'
    const { status, body } = await stack.ask('GET', `${path}?${query}`)
    expect([status, body['errors']]).toEqual([
      400,
      [{ pointer: '/createdFrom', detail: 'must be before createdTo' }],
    ])
  },
)

describe('statistics', () => {
  const stats = (query: string, key = stack.apiKey) =>
    stack.ask('GET', `/api/stats?${query}`, { key })
  const range = `from=${new Date(noon).toISOString()}&to=${new Date(noon + 10 * day).toISOString()}`

  it('count, and tell the times to the outcome, by provider and model', async () => {
    const { body } = await stats(range)
    const groups = body.data as unknown as {
      provider: string
      model: string
      counts: Record<string, number>
    }[]
    for (const { provider, model, counts } of groups)
      for (const [status, count] of Object.entries(counts))
        expect(count).toBe(
          all.filter(
            (one) => one.provider === provider && one.model === model && one.status === status,
          ).length,
        )
    const [whole] = (await stats(`${range}&by=all`)).body.data as unknown as object[]
    expect(whole).toMatchObject({
      provider: null,
      model: null,
      counts: { pending: 12, generating: 12, completed: 12, failed: 24 },
      seconds: { p50: 10, p95: 10, p99: 10, of: 12 },
    })
    expect((await stats(`${range}&by=provider`)).body.data).toHaveLength(2)
    expect((await stats(range, stranger)).body.data).toEqual([])
  })

  it.each([
    'from=x',
    'by=user',
    'days=7',
    `from=${new Date(noon).toISOString()}&to=${new Date(noon).toISOString()}`,
    'from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z',
  ])('refuse %s', async (query) => expect((await stats(query)).status).toBe(400))
})

it('refuses query parameters that no route knows, everywhere', async () => {
  const { projectId, scriptId } = stack.demo
  for (const path of [
    '/api/me',
    '/api/models',
    '/api/projects',
    `/api/projects/${projectId}`,
    `/api/projects/${projectId}/scripts/${scriptId}`,
    `/api/scene-videos/${all[0]!.id}`,
    `/api/scene-videos/${all[0]!.id}/timeline`,
    '/api/events',
    '/api/api-keys',
  ]) {
    const { status, body } = await stack.ask('GET', `${path}?videoId=x`)
    expect([status, body['errors']], path).toEqual([
      400,
      [{ pointer: '/videoId', detail: 'is not known here; leave it out' }],
    ])
  }
})
