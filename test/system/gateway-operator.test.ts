/** What an operator sees and does across users, and how its own traces are kept. */
import { createHmac } from 'node:crypto'
import { connect } from 'nats'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { SseReader } from '../support/live-reader.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let key = ''
let stranger = ''
let theirs = ''
beforeAll(async () => {
  await stack.start()
  await stack.poller()
  const { id } = await stack.keys.createUser('operator')
  key = (await stack.keys.create(id, ['operator'], 'on call')).apiKey
  stranger = await stack.stranger()
  const made = await stack.ask('POST', '/api/videos', {
    key: stranger,
    body: { prompt: '[slow]', metadata: { order: 'x' } },
  })
  theirs = String(made.body['id'])
})
afterAll(() => stack[Symbol.asyncDispose]())

const get = async (path: string) => stack.ask('GET', `/api/operator/${path}`, { key })
type Entry = Record<string, unknown> & { id: string; userId: string }

it('sees videos of all users, with whose they are', async () => {
  await stack.ask('POST', `${stack.scenePath}/generate-video`)
  const all = (await get('videos')).body.data as unknown as Entry[]
  expect(new Set(all.map((one) => one.userId)).size).toBe(2)
  const { userId } = all.find((one) => one.id === theirs)!
  const own = (await get(`videos?userId=${userId}&metadata.order=x`)).body.data
  expect(own).toMatchObject([{ id: theirs, userId }])
  expect((await get(`videos/${theirs}`)).body).toMatchObject({ id: theirs, userId })
  expect((await get('videos?colour=red')).status).toBe(400)
  // it is no user's key: their routes answer it nothing
  expect((await stack.ask('GET', '/api/scene-videos', { key })).status).toBe(403)
})

it('cancels and retries any video, and the timeline names its key', async () => {
  const cancelled = await stack.ask('POST', `/api/operator/videos/${theirs}/cancel`, { key })
  expect(cancelled.status).toBe(202)
  await until(
    'it to end',
    async () => (await get(`videos/${theirs}`)).body['status'] === 'failed' || undefined,
  )
  const retried = await stack.ask('POST', `/api/operator/videos/${theirs}/retry`, {
    key,
    body: { attempt: 1 },
  })
  expect([retried.status, retried.body['attempt']]).toEqual([202, 2])
  const timeline = (
    await stack.ask('GET', `/api/scene-videos/${theirs}/timeline`, { key: stranger })
  ).body.data as unknown as { by: { name: string } | null }[]
  expect(timeline.filter(({ by }) => by?.name === 'on call').length).toBe(2)
  const acts = (await get('activity')).body.data as unknown as Entry[]
  expect(acts[0]).toMatchObject({ videoId: theirs, kind: 'requested', by: { name: 'on call' } })
  const page = await get('activity?limit=1')
  const next = await get(`activity?limit=1&after=${String(page.body['next'])}`)
  expect(next.body.data).toEqual([acts[1]])
})

it('sees counts, accounts, circuits and pollers', async () => {
  const [whole] = (await get('stats?by=all')).body.data as unknown as {
    counts: Record<string, number>
  }[]
  const total = Object.values(whole!.counts).reduce((a, b) => a + b)
  expect(total).toBe(await stack.db.sceneVideo.count())
  await until(
    'a send',
    async () => ((await get('accounts')).body.data as unknown as unknown[]).length > 0 || undefined,
  )
  const accounts = (await get('accounts')).body.data as unknown as Entry[]
  expect(accounts[0]).toMatchObject({ provider: 'toapis', host: new URL(stack.simulatorUrl).host })
  expect(JSON.stringify(accounts)).not.toMatch(/sk-|cipher/i)
  await stack.db.sceneVideo.updateMany({
    where: { id: theirs },
    data: { status: 'pending', taskId: null, waitReason: 'Over the rate limit' },
  })
  expect((await get('circuits')).body.data).toMatchObject([
    { provider: 'toapis', reason: 'Over the rate limit', videos: 1 },
  ])
  expect((await get('pollers')).body.data).toMatchObject([
    { state: 'live', owned: expect.any(Number), acceptsClaims: true },
  ])
})

it('sees dead letters, and events of everybody', async () => {
  expect((await get('dead-letters')).body.data).toEqual([])
  const nc = await connect({ servers: stack.natsUrl })
  nc.publish('video.report.test', 'not a report')
  await until(
    'a dead letter',
    async () =>
      ((await get('dead-letters')).body.data as unknown as unknown[]).length > 0 || undefined,
  )
  await nc.drain()
  expect((await get('dead-letters')).body.data).toMatchObject([
    { subject: 'video.report.test', reason: expect.any(String), bytes: 12 },
  ])
  const reader = await SseReader.open(stack, '/api/operator/events', { key })
  const made = [
    await stack.ask('POST', '/api/videos', { body: { prompt: 'one' } }),
    await stack.ask('POST', '/api/videos', { key: stranger, body: { prompt: 'two' } }),
  ]
  for (const { body } of made)
    await reader.heard('both', ({ data }) => data?.id === String(body['id']))
  reader.close()
})

it('takes a webhook that was caught and sent again for nothing', async () => {
  const nudged: string[] = []
  const nc = await connect({ servers: stack.natsUrl })
  nc.subscribe('video.nudge.*', { callback: (_, { subject }) => nudged.push(subject) })
  await nc.flush()
  const { body: video } = await stack.ask('POST', '/api/videos', { body: { prompt: 'x' } })
  const id = String(video['id'])
  const other = theirs
  const at = String(Math.floor(Date.now() / 1000))
  const send = (path: string, body: string) =>
    fetch(`${stack.gatewayUrl}/webhooks/${path}`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'x-toapis-webhook-id': 'wh_1',
        'x-toapis-webhook-timestamp': at,
        'x-toapis-webhook-signature': `v1=${createHmac('sha256', 'whsec').update(`wh_1.${at}.${body}`).digest('hex')}`,
      },
    })
  const body = JSON.stringify({ data: { client_business_id: `${id}-1` } })
  for (const path of ['toapis', 'toapis', `toapis/${other}`])
    expect((await send(path, body)).status).toBe(204)
  const without = JSON.stringify({ data: {} })
  expect((await send(`toapis/${other}`, without)).status).toBe(204)
  await until('the nudges', () => nudged.length >= 2 || undefined)
  await nc.flush()
  const webhooks = nudged.filter((one) => one.endsWith(id) || one.endsWith(other))
  expect(webhooks).toEqual([`video.nudge.${id}`, `video.nudge.${other}`])
  await nc.drain()
})
