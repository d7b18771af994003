/**
 * The main job, end to end, through `npm start`: with nothing in its way, and with every process
 * killed in turn.
 */
import type { NatsConnection } from 'nats'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import { connectNats } from '../support/nats.ts'
import { pause, System, until } from '../support/system.ts'

interface Seen {
  ceId: string
  event: string
  video: SceneVideo
}

/** Every message of stream VIDEO, in order. */
async function storedEvents(natsUrl: string): Promise<Seen[]> {
  const nc = await connectNats(natsUrl)
  try {
    const consumer = await nc.jetstream().consumers.get('VIDEO')
    const total = (await consumer.info()).num_pending
    const seen: Seen[] = []
    const messages = await consumer.consume({ max_messages: 1_000 })
    for await (const message of messages) {
      seen.push({
        ceId: message.headers!.get('ce-id'),
        event: message.subject.split('.')[1]!,
        video: message.json(),
      })
      if (seen.length >= total) break
    }
    messages.stop()
    return seen
  } finally {
    await nc.close()
  }
}

/** Laws 1, 3 and 5 held against the ledger, the stream and the gateway. */
async function judge(system: System, ids: string[]): Promise<void> {
  for (const id of ids)
    await until(`the file of ${id}`, async () => {
      const { status, phase } = await system.video(id)
      return status !== 'completed' || phase === 'stored' ? true : undefined
    })
  const ledger = await system.ledger()
  const events = Map.groupBy(await storedEvents(system.dev.natsUrl), (one) => one.video.id)
  for (const id of ids) {
    const video = await system.video(id)
    const charged = ledger.filter((row) => row.client_business_id === `${id}-1`)
    expect(charged, `accepted creates of ${id}`).toHaveLength(1)
    expect(video.taskId).toBe(charged[0]!.task_id)
    expect(video.status).toBe(charged[0]!.status)
    const own = events.get(id) ?? []
    expect(
      own.map((one) => one.ceId),
      `events of ${id}`,
    ).toEqual(Array.from({ length: video.version }, (_, i) => `${id}:${i + 1}`))
    expect(own.filter((one) => one.event === 'completed' || one.event === 'failed')).toHaveLength(1)
    expect(own.map((one) => one.event).filter((event) => event !== 'progress')).toEqual([
      'requested',
      'submitted',
      'generating',
      ...(video.status === 'completed' ? ['completed', 'stored'] : ['failed']),
    ])
  }
}

async function submit(system: System, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const prompt = i % 10 === 9 ? `[fail] number ${i}` : `number ${i}`
    const answer = await until('acceptance', async () => {
      const got = await system.api(
        'POST',
        system.generatePath(i % 3),
        { prompt },
        { 'idempotency-key': `video-${i}` },
      )
      return got.status === 202 ? got : undefined
    })
    ids.push(String(answer.body['id']))
  }
  return ids
}

async function allEnded(system: System, ids: string[], timeoutMs: number): Promise<void> {
  const open = new Set(ids)
  await until(
    'all videos to end',
    async () => {
      for (const id of open) {
        const { status } = await system.video(id)
        if (status === 'completed' || status === 'failed') open.delete(id)
        else return undefined
      }
      return true
    },
    timeoutMs,
  )
}

const system = new System({ POLL_INTERVAL_MS: '2000', RECONCILE_INTERVAL_MS: '10000' })
let nc: NatsConnection
const seen: Seen[] = []
const ahead: string[] = []

beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 8, maxSeconds: 20, tier: 'vip' })
})
afterAll(async () => {
  await nc?.close()
  await system[Symbol.asyncDispose]()
})

it('completes one video, and the gateway is never behind an event', async () => {
  nc = await connectNats(system.dev.natsUrl, {
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
  })
  nc.subscribe('video.*', {
    callback: (_err, message) => {
      const video = message.json<SceneVideo>()
      seen.push({
        ceId: message.headers!.get('ce-id'),
        event: message.subject.split('.')[1]!,
        video,
      })
      system.video(video.id).then(
        (read) => read.version < video.version && ahead.push(video.id),
        () => {},
      )
    },
  })
  await nc.flush()
  const id = await system.submit()
  await allEnded(system, [id], 60_000)
  await judge(system, [id])
  const file = await fetch((await system.video(id)).videoUrl!)
  expect(
    Buffer.from(await file.arrayBuffer())
      .subarray(4, 8)
      .toString(),
  ).toBe('ftyp')
  await until(
    'the core subscriber to see the end',
    () => seen.some((one) => one.video.id === id && one.event === 'completed') || undefined,
  )
  expect(ahead).toEqual([])
})

it('answers a repeated Idempotency-Key with the same video, and another body with 422', async () => {
  const first = await system.api(
    'POST',
    system.generatePath(),
    { prompt: 'once' },
    { 'idempotency-key': '"k1"' },
  )
  const again = await system.api(
    'POST',
    system.generatePath(),
    { prompt: 'once' },
    { 'idempotency-key': 'k1' },
  )
  const other = await system.api(
    'POST',
    system.generatePath(),
    { prompt: 'twice' },
    { 'idempotency-key': 'k1' },
  )
  expect([first.status, again.status, other.status]).toEqual([202, 202, 422])
  expect(again.body['id']).toBe(first.body['id'])
  expect(other.body['code']).toBe('idempotency_key_reused')
})

it('answers errors as problems', async () => {
  const bad = await system.api('POST', system.generatePath(), { durationSeconds: 'long' })
  expect([bad.status, bad.body['code'], bad.headers.get('content-type')]).toEqual([
    400,
    'invalid_request',
    expect.stringContaining('application/problem+json'),
  ])
  const missing = await system.api('GET', '/api/scene-videos/00000000-0000-7000-8000-000000000000')
  expect([missing.status, missing.body['code']]).toEqual([404, 'not_found'])
  const stranger = await fetch(`${system.dev.gatewayUrl}/api/scene-videos`)
  expect(stranger.status).toBe(401)
})

it('loses nothing and pays nothing twice when every process is killed in turn, and all are stopped and started', async () => {
  const ids = await submit(system, 100)
  for (const name of [
    'poller-1',
    'poller-2',
    'submit',
    'status',
    'reconciler',
    'gateway',
    'nats',
    'postgres',
  ]) {
    await system.kill9(name)
    await pause(1_000)
  }
  const before = system.dev
  expect(await system.stop()).toBe(0)
  expect(system.hasDevJson).toBe(false)
  await system.start()
  expect(system.dev.apiKey).toBe(before.apiKey)
  await allEnded(system, ids, 120_000)
  await judge(system, ids)
})
