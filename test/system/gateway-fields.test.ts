/** What was sent is read back, over HTTP and in events; and who asked for what is on record. */
import { afterAll, beforeAll, expect, it } from 'vitest'
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
