/** What was sent is read back, over HTTP and in events; and who asked for what is on record. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Reelkeeper } from '#libs/client/src/client.ts'
import type { SceneVideo, TimelineEntry } from '#libs/client/src/types.ts'
import { Stack } from '../support/gateway-kit.ts'

const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

const generate = async (body: object, key = stack.apiKey) =>
  (await stack.ask('POST', `${stack.scenePath}/generate-video`, { body, key }))
    .body as unknown as SceneVideo
const timelineOf = async (id: string) =>
  (await stack.ask('GET', `/api/scene-videos/${id}/timeline`)).body
    .data as unknown as TimelineEntry[]

const asked = {
  prompt: 'a boat',
  durationSeconds: 5,
  aspectRatio: '9:16',
  resolution: '720p',
  imageUrls: ['https://example.com/a.png'],
  metadata: { order: 'o-1', cut: 2, draft: true, note: null },
}

it('answers what was asked for, and tells it in events', async () => {
  const made = await generate(asked)
  const { prompt: _prompt, metadata, ...params } = asked
  const fields = { params, metadata, waiting: null, file: null, usage: null }
  expect(made).toMatchObject(fields)
  expect((await stack.ask('GET', `/api/scene-videos/${made.id}`)).body).toMatchObject(fields)
  const bare = await generate({})
  const none = { durationSeconds: null, aspectRatio: null, resolution: null, imageUrls: [] }
  expect(bare).toMatchObject({ params: none, metadata: {} })
  // on the timeline as the event carries it
  const rows = await stack.db.timeline.findMany({ where: { videoId: made.id } })
  expect(rows.map(({ snapshot }) => snapshot)).toMatchObject(
    rows.map(() => ({ params: { ...params, metadata } })),
  )
})

it('says why a pending video waits, and until when', async () => {
  const { id } = await generate({})
  const at = new Date('2030-01-01T00:00:00Z')
  await stack.db.sceneVideo.update({
    where: { id },
    data: { status: 'pending', waitReason: 'Over the rate limit', waitUntil: at, taskId: null },
  })
  expect((await stack.ask('GET', `/api/scene-videos/${id}`)).body).toMatchObject({
    waiting: { reason: 'Over the rate limit', until: at.toISOString() },
  })
})

it('takes metadata that an event can carry, and no more', async () => {
  const path = `${stack.scenePath}/generate-video`
  const metadata = { a: 'x'.repeat(4_000), b: 'y'.repeat(100) }
  const refused = await stack.ask('POST', path, { body: { metadata } })
  expect(refused.status).toBe(400)
  expect(JSON.stringify(refused.body['errors'])).toContain('"pointer":"/metadata"')
  const longUrl = `https://bucket.example.com/i.png?token=${'A'.repeat(4_600)}`
  expect((await generate({ imageUrls: [longUrl] })).params.imageUrls).toEqual([longUrl])
})

it.each([
  ['2 KB of data:', 2_000, 400, 'must be an http or https link that the provider can fetch'],
  ['a base64 without a prefix', -2_000, 400, 'must be an http or https link'],
  ['300 KB of data:', 300_000, 413, '262144 bytes at most'],
  ['2.8 MB of data:', 2_800_000, 413, '262144 bytes at most'],
])('says what it takes instead of a picture itself: %s', async (_, length, status, words) => {
  const picture = `${length > 0 ? 'data:image/png;base64,' : ''}${'A'.repeat(Math.abs(length))}`
  const answer = await stack.ask('POST', `${stack.scenePath}/generate-video`, {
    body: { imageUrls: [picture] },
  })
  expect(answer.status).toBe(status)
  expect(JSON.stringify(answer.body)).toContain(words)
})

it('gives a video of a thousand attempts page by page, and each page is short', async () => {
  const { id } = await generate({ prompt: 'again and again' })
  const many = 1_200
  await stack.db.$executeRaw`
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, service, snapshot)
    SELECT id, n, n, 'requested', status, phase, 'submit', to_jsonb(v) FROM "SceneVideo" v, generate_series(1000, ${999 + many}::int) n WHERE id = ${id}::uuid`
  await stack.db.$executeRaw`
    INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
    SELECT ${id}::uuid, 10 + n / 2, 1 + n % 2, 'toapis', 'x', 'x' FROM generate_series(1, ${many}::int) n`
  const pages = async (path: string, query = '') => {
    const sizes: number[] = []
    const seen: { version: number; attempt: number; send: number }[] = []
    for (let after = ''; ;) {
      const { body } = await stack.ask('GET', `/api/scene-videos/${id}/${path}?${query}${after}`)
      seen.push(...(body.data as unknown as typeof seen))
      sizes.push((body.data as unknown as object[]).length)
      if (!body['hasMore']) return { sizes, seen }
      after = `&after=${String(body['next'])}`
    }
  }
  const timeline = await pages('timeline')
  expect(timeline.sizes.slice(0, 2)).toEqual([500, 500])
  const versions = timeline.seen.map((one) => one.version).filter((version) => version >= 1_000)
  expect(versions).toEqual(Array.from({ length: many }, (_, i) => 1_000 + i))
  const shown = await pages('timeline', 'snapshots=true')
  expect(Math.max(...shown.sizes)).toBeLessThanOrEqual(50)
  expect(shown.seen.length).toBeGreaterThanOrEqual(timeline.seen.length)
  const sends = await pages('submissions')
  expect(sends.sizes.slice(0, 2)).toEqual([500, 500])
  const places = sends.seen.map(({ attempt, send }) => `${attempt} ${send}`)
  expect([new Set(places).size, places.at(-1)]).toEqual([places.length, '610 1'])
  expect(places.length).toBeGreaterThanOrEqual(many)
  const client = new Reelkeeper({ baseUrl: stack.gatewayUrl, apiKey: stack.apiKey })
  expect((await client.timeline(id)).length).toBeGreaterThanOrEqual(timeline.seen.length)
  expect((await client.submissions(id)).length).toBe(places.length)
  for (const path of ['timeline', 'submissions'])
    for (const query of ['after=x', 'limit=501', 'limit=0'])
      expect((await stack.ask('GET', `/api/scene-videos/${id}/${path}?${query}`)).status).toBe(400)
})

it('shows on request how the video was recorded at each entry of the timeline', async () => {
  const { id } = await generate({ prompt: 'a kite', metadata: { shot: 7 } })
  const path = `/api/scene-videos/${id}/timeline`
  const plain = (await stack.ask('GET', path)).body.data as unknown as object[]
  expect(plain[0]).not.toHaveProperty('snapshot')
  const [first] = (await stack.ask('GET', `${path}?snapshots=true`)).body.data as unknown as {
    snapshot: object
  }[]
  expect(first).toMatchObject({
    kind: 'requested',
    snapshot: { id, version: 1, status: 'pending', prompt: 'a kite', metadata: { shot: 7 } },
  })
  expect((await stack.ask('GET', `${path}?snapshots=1`)).status).toBe(400)
})

it('records whose key asked for it', async () => {
  const other = await stack.keys.create(stack.demo.userId, ['read', 'write'], 'night shift')
  const { id } = await generate({ prompt: '[slow]' })
  const cancelled = await stack.ask('POST', `/api/scene-videos/${id}/cancel`, {
    key: other.apiKey,
  })
  expect(cancelled.status).toBe(202)
  const entries = await timelineOf(id)
  expect(entries[0]).toMatchObject({
    kind: 'requested',
    by: { keyId: 'demo', name: 'demo' },
    epoch: null,
  })
  const night = { keyId: other.id, name: 'night shift' }
  expect(entries.filter(({ kind }) => /^(cancel_requested|failed)$/.test(kind))).toMatchObject([
    { by: night },
  ])
  await stack.db.sceneVideo.update({
    where: { id },
    data: { status: 'failed', phase: 'done', errorCode: 'cancelled', errorMessage: '' },
  })
  await stack.ask('POST', `/api/scene-videos/${id}/retry`, { key: other.apiKey })
  const again = (await timelineOf(id)).find(({ attempt }) => attempt === 2)
  expect(again).toMatchObject({ kind: 'requested', by: night })
})

let videoId = ''
beforeAll(async () => {
  videoId = (await generate({ prompt: '[slow]' })).id
})
const file = (method = 'GET', headers: Record<string, string> = {}) =>
  fetch(`${stack.gatewayUrl}/api/scene-videos/${videoId}/file`, {
    method,
    redirect: 'manual',
    headers: { authorization: `Bearer ${stack.apiKey}`, ...headers },
  })
const linkedTo = async (videoUrl: string) => {
  await stack.db.sceneVideo.update({
    where: { id: videoId },
    data: { status: 'completed', phase: 'done', videoUrl },
  })
  return file()
}

describe('/file', () => {
  it('leads to http and https only, in characters that a header may have', async () => {
    for (const [link, location] of [
      ['https://cdn.example/视频.mp4', 'https://cdn.example/%E8%A7%86%E9%A2%91.mp4'],
      ['https://cdn.example/a b.mp4?x=ü', 'https://cdn.example/a%20b.mp4?x=%C3%BC'],
      ['https://视频.example/a.mp4', 'https://xn--cy2a840a.example/a.mp4'],
      ['http://cdn.example/a.mp4', 'http://cdn.example/a.mp4'],
    ] as const) {
      const answer = await linkedTo(link)
      expect([answer.status, answer.headers.get('location')], link).toEqual([302, location])
    }
    for (const link of [
      'javascript:alert(1)',
      'data:text/html,<script>1</script>',
      'file:///etc/passwd',
      '//evil.example/x',
      'https:///x.mp4 y',
      'not a url',
      'ftp://cdn.example/a.mp4',
    ]) {
      const answer = await linkedTo(link)
      expect([answer.status, answer.headers.get('location')], link).toEqual([404, null])
      expect(answer.headers.get('content-type')).toContain('application/problem+json')
    }
  })

  it('leads to the newest link while the file is fetched', async () => {
    await linkedTo('https://cdn.example/old.mp4')
    const url = 'https://cdn.example/renewed.mp4'
    const { userId } = stack.demo
    await stack.db.file.upsert({
      where: { videoId },
      create: { videoId, userId, url },
      update: { url, state: 'waiting' },
    })
    const answer = await file()
    expect([answer.status, answer.headers.get('location')]).toEqual([302, url])
  })
})

describe('a kept file', () => {
  it('is refused where only another version is wanted', async () => {
    const facts = { state: 'stored', bytes: 10, sha256: 'abc', type: 'video/mp4' }
    const storedAt = '2020-01-01T00:00:00Z'
    await linkedTo('https://cdn.example/a.mp4')
    await stack.db.sceneVideo.update({
      where: { id: videoId },
      data: { phase: 'stored', file: { ...facts, storedAt } },
    })
    const kept = { userId: stack.demo.userId, url: 'x', state: 'stored', key: 'k', storedAt }
    await stack.db.file.upsert({
      where: { videoId },
      create: { videoId, ...kept },
      update: kept,
    })
    const [before, after] = ['Thu, 01 Jan 2015 00:00:00 GMT', 'Thu, 01 Jan 2099 00:00:00 GMT']
    for (const [headers, status] of [
      [{ 'if-match': '"other", "abc"' }, 200],
      [{ 'if-match': '*', 'if-unmodified-since': before }, 200],
      [{ 'if-unmodified-since': after }, 200],
      [{ 'if-unmodified-since': 'no date' }, 200],
      [{ 'if-match': '"other"' }, 412],
      [{ 'if-match': 'W/"abc"', 'if-none-match': '"abc"' }, 412],
      [{ 'if-match': '"abc"', 'if-none-match': '"abc"' }, 304],
      [{ 'if-unmodified-since': before, range: 'bytes=0-1' }, 412],
      // parts are of GET alone
      [{ range: 'bytes=0-1' }, 200],
    ] as const) {
      const answer = await file('HEAD', headers)
      expect(answer.status, JSON.stringify(headers)).toBe(status)
    }
  })
})
