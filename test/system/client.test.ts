/**
 * libs/client as a product uses it: over HTTP, against the whole system, with a gateway that dies
 * and a proxy in the way.
 */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { Reelkeeper, ReelkeeperError, type SceneVideo } from '#libs/client/src/client.ts'
import { sceneVideoSchema } from '#libs/scene-video/scene-video.ts'
import { startFront, type Front } from '../support/front.ts'
import { System, until } from '../support/system.ts'

const system = new System({ POLL_INTERVAL_MS: '500' })
let front: Front
let client: Reelkeeper
const scene = () => ({
  projectId: system.dev.projectId,
  scriptId: system.dev.scriptId,
  sceneId: system.dev.sceneIds[0]!,
})
const creates = async (id: string) =>
  (await system.ledger()).filter((row) => row.client_business_id.startsWith(id))
/**
 * Every state that a watch yields, each held against the schema and newer than the one before.
 */
const follow = async (id: string, each: (video: SceneVideo) => void = () => {}) => {
  const seen: SceneVideo[] = []
  for await (const video of client.watch({ videoId: id })) {
    expect(sceneVideoSchema.parse(video)).toEqual(video)
    expect(video.version).toBeGreaterThan(seen.at(-1)?.version ?? 0)
    seen.push(video)
    each(video)
  }
  return seen
}

beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 2, maxSeconds: 3, tier: 'off' })
  front = await startFront(() => system.dev.gatewayUrl)
  client = new Reelkeeper({ baseUrl: front.url, apiKey: system.dev.apiKey, pollMs: 300 })
})
afterEach(() => {
  front.streams = 'pass'
  front.answersToLose = 0
  front.seen.length = 0
})
afterAll(async () => {
  await front[Symbol.asyncDispose]()
  await system[Symbol.asyncDispose]()
})

it('submits, watches to the end, and reads what it was', async () => {
  const { id, status } = await client.generateVideo(scene(), { prompt: 'a lighthouse' })
  expect(status).toBe('pending')
  const seen = await follow(id)
  expect(seen.at(-1)).toMatchObject({ id, status: 'completed', prompt: 'a lighthouse' })
  expect(seen.length).toBeGreaterThan(2)
  expect(await client.get(id)).toMatchObject({ id, status: 'completed' })
  const timeline = await client.timeline(id)
  expect(timeline.map((entry) => entry.version)).toEqual([...timeline.keys()].map((i) => i + 1))
  expect(timeline.find(({ status }) => status === 'completed')).toMatchObject({
    version: seen.at(-1)!.version,
  })
  const project = await client.project(scene().projectId)
  expect(project.counts.completed).toBeGreaterThan(0)
})

it('pays once for a submission whose answer was lost', async () => {
  front.answersToLose = 2
  const { id } = await client.generateVideo(scene(), { prompt: 'once' })
  const posts = front.seen.filter(({ line }) => line.endsWith('/generate-video'))
  expect(posts).toHaveLength(3)
  expect(new Set(posts.map((post) => post.idempotencyKey)).size).toBe(1)
  await follow(id)
  expect(await creates(id)).toHaveLength(1)
  const same: string[] = []
  for await (const video of client.list({ sceneId: scene().sceneId }))
    if (video.prompt === 'once') same.push(video.id)
  expect(same).toEqual([id])
})

it('gives the same video for a key of the caller’s own, and refuses another body under it', async () => {
  const idempotencyKey = 'order-17'
  const first = await client.generateVideo(scene(), { prompt: 'a' }, { idempotencyKey })
  expect((await client.generateVideo(scene(), { prompt: 'a' }, { idempotencyKey })).id).toBe(
    first.id,
  )
  await expect(
    client.generateVideo(scene(), { prompt: 'b' }, { idempotencyKey }),
  ).rejects.toMatchObject({ status: 422, code: 'idempotency_key_reused' })
})

it('goes on where it was when the gateway is killed', async () => {
  await system.simulate({ minSeconds: 8, maxSeconds: 9 })
  const { id } = await client.generateVideo(scene())
  let killed: Promise<void> | undefined
  let versions = 0
  const seen = await follow(id, (video) => {
    versions += 1
    if (versions > 1 && video.status === 'generating') killed ??= system.kill9('gateway')
  })
  await killed
  expect(killed).toBeDefined()
  expect(seen.at(-1)).toMatchObject({ status: 'completed' })
  const streams = front.seen.filter(({ line }) => line.endsWith('/events'))
  expect(streams.length).toBeGreaterThan(1)
  expect(streams.at(-1)!.lastEventId).toMatch(/^\d+-\d+$/)
})

it.each(['refuse', 'swallow'] as const)(
  'asks instead where something between does %s streams',
  async (streams) => {
    await system.simulate({ minSeconds: 2, maxSeconds: 3 })
    front.streams = streams
    client = new Reelkeeper({
      baseUrl: front.url,
      apiKey: system.dev.apiKey,
      pollMs: 300,
      openMs: 500,
    })
    const { id } = await client.generateVideo(scene())
    const seen = await follow(id)
    expect(seen.at(-1)).toMatchObject({ status: 'completed' })
    expect(
      front.seen.filter(({ line }) => line === `GET /api/scene-videos/${id}`).length,
    ).toBeGreaterThan(1)
  },
)

it('watches a project while videos come and end, until it is told to stop', async () => {
  const stop = new AbortController()
  const ids = new Set<string>()
  const ended = new Set<string>()
  const watching = (async () => {
    for await (const video of client.watch(
      { projectId: scene().projectId },
      { signal: stop.signal },
    ))
      if (video.status === 'completed') ended.add(video.id)
  })()
  for (let i = 0; i < 3; i++) ids.add((await client.generateVideo(scene())).id)
  await until('all three to have ended', () => [...ids].every((id) => ended.has(id)) || undefined)
  stop.abort()
  await watching
})

it('cancels and retries one attempt only', async () => {
  await system.simulate({ minSeconds: 3, maxSeconds: 4 })
  const { id } = await client.generateVideo(scene())
  await until('its task', async () => (await client.get(id)).status === 'generating' || undefined)
  await client.cancel(id)
  const failed = (await follow(id)).at(-1)!
  expect(failed).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  front.answersToLose = 1
  expect(await client.retry(failed)).toMatchObject({ id, attempt: 2 })
  expect(await client.retry(failed)).toMatchObject({ id, attempt: 2 })
  expect((await follow(id)).at(-1)).toMatchObject({ status: 'completed', attempt: 2 })
  await expect(client.cancel(id)).rejects.toMatchObject({ status: 409, code: 'already_terminal' })
})

it('retries what failed in a project, and what a policy refused where it is asked to', async () => {
  await system.simulate({ minSeconds: 1, maxSeconds: 1 })
  const fails = async (prompt: string) => {
    const { id } = await client.generateVideo(scene(), { prompt })
    expect((await follow(id)).at(-1)).toMatchObject({ status: 'failed' })
    return id
  }
  const [refused, failed] = [await fails('[policy]'), await fails('[fail]')]
  const { projectId } = scene()
  const include = ['content_policy' as const]
  const asked = await client.projects.retryFailed(projectId, { include, dryRun: true })
  expect([asked.data, asked.ids.toSorted()]).toEqual([[], [refused, failed].toSorted()])
  expect((await client.retryFailed(projectId)).map((video) => video.id)).toEqual([failed])
})

it('lists all pages, newest first', async () => {
  const ids: string[] = []
  for await (const video of client.list({ projectId: scene().projectId }, { limit: 2 }))
    ids.push(video.id)
  expect(ids.length).toBeGreaterThan(4)
  expect(ids).toEqual([...new Set(ids)].sort().reverse())
  expect(front.seen.length).toBe(Math.ceil(ids.length / 2))
})

it('throws the gateway’s own errors', async () => {
  const nobody = '00000000-0000-7000-8000-000000000000'
  await expect(client.get(nobody)).rejects.toBeInstanceOf(ReelkeeperError)
  await expect(follow(nobody)).rejects.toMatchObject({ status: 404, code: 'not_found' })
  await expect(client.generateVideo(scene(), { durationSeconds: 0 })).rejects.toMatchObject({
    status: 400,
    code: 'invalid_request',
    errors: [{ pointer: '/durationSeconds' }],
  })
  await expect(new Reelkeeper({ baseUrl: front.url }).get(nobody)).rejects.toMatchObject({
    status: 401,
    code: 'unauthorized',
  })
})
