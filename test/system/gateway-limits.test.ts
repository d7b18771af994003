/** How much a user may do, over its keys and over gateways; and what a narrow token may read. */
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
let stranger = ''
beforeAll(async () => {
  await stack.start()
  stranger = await stack.stranger()
})
afterAll(() => stack[Symbol.asyncDispose]())

async function userWithKeys(n: number) {
  const { id } = await stack.keys.createUser('limited')
  const keys = []
  for (let i = 0; i < n; i++)
    keys.push((await stack.keys.create(id, ['read', 'write', 'admin'], null)).apiKey)
  return { id, keys }
}
const create = (url: string, key: string) =>
  stack.ask('POST', '/api/videos', { url, key, body: { prompt: 'x' } })

/** The minute that it is, when it has a third of itself left at least. */
async function earlyMinute(): Promise<number> {
  const leftMs = 60_000 - (Date.now() % 60_000)
  if (leftMs < 20_000) await setTimeout(leftMs)
  return Math.floor(Date.now() / 60_000)
}

describe('a limit', () => {
  it('of creates holds over all keys of a user and over gateways, and names itself', async () => {
    const env = { MAX_CREATES_PER_MINUTE: '6' }
    const [one, two] = [await stack.gateway(env), await stack.gateway(env)]
    const { keys } = await userWithKeys(2)
    const before = await earlyMinute()
    for (let i = 0; i < 6; i++)
      expect((await create(one.url, keys[i % 2]!)).status, `create ${i}`).toBe(202)
    const refused = await create(one.url, keys[1]!)
    expect([refused.status, refused.body]).toEqual([
      429,
      expect.objectContaining({
        code: 'limit_exceeded',
        limit: { name: 'createsPerMinute', limit: 6, used: 6 },
      }),
    ])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    // the other one has heard of it within a second or so, unless the minute is over
    await until('the other gateway to know', async () => {
      const answer = await create(two.url, keys[0]!)
      return answer.status === 429 || Math.floor(Date.now() / 60_000) > before || undefined
    })
    // nobody else is touched
    expect((await create(one.url, stranger)).status).toBe(202)
  })

  it('of open videos and of a day, likewise; what was refused is not counted', async () => {
    const { url } = await stack.gateway({ MAX_OPEN_VIDEOS: '2', MAX_CREATES_PER_DAY: '3' })
    const { keys } = await userWithKeys(1)
    const key = keys[0]!
    const first = await create(url, key)
    await create(url, key)
    const full = await create(url, key)
    expect([full.status, full.body['limit']]).toEqual([
      429,
      { name: 'openVideos', limit: 2, used: 2 },
    ])
    await stack.ask('POST', `/api/scene-videos/${String(first.body['id'])}/cancel`, { key })
    await stack.db.sceneVideo.update({
      where: { id: String(first.body['id']) },
      data: { status: 'failed', phase: 'done', errorCode: 'cancelled', errorMessage: '' },
    })
    await until('room again', async () => (await create(url, key)).status === 202 || undefined)
    const day = await create(url, key)
    expect(day.body['limit']).toMatchObject({ limit: expect.any(Number) })
    const limits = await stack.ask('GET', '/api/me/limits', { url, key })
    expect(limits.body).toMatchObject({
      createsPerDay: { limit: 3, used: 3 },
      openVideos: { limit: 2, used: 2 },
      apiKeys: { used: 1 },
    })
  })

  it('of keys holds, and is set by the operator for one user', async () => {
    const { url } = await stack.gateway({ MAX_API_KEYS: '2' })
    const { id, keys } = await userWithKeys(1)
    const make = () => stack.ask('POST', '/api/api-keys', { url, key: keys[0]!, body: {} })
    const made = await Promise.all(Array.from({ length: 10 }, make))
    expect(made.filter(({ status }) => status === 201)).toHaveLength(1)
    expect((await make()).body['limit']).toEqual({ name: 'apiKeys', limit: 2, used: 2 })
    await stack.keys.setLimits(id, { apiKeys: 3 })
    await until('the exception to count', async () => (await make()).status === 201 || undefined)
    const shown = await stack.ask('GET', '/api/me/limits', { url, key: keys[0]! })
    expect(shown.body).toMatchObject({ apiKeys: { limit: 3, used: 3 } })
  })

  it('of requests counts a user, not a key', async () => {
    const { url } = await stack.gateway({ RATE_LIMIT_PER_MINUTE: '20' })
    const { keys } = await userWithKeys(2)
    const statuses = []
    for (let i = 0; i < 30; i++)
      statuses.push((await stack.ask('GET', '/api/me', { url, key: keys[i % 2]! })).status)
    expect(statuses.filter((one) => one === 429).length).toBeGreaterThanOrEqual(9)
  })
})

it('a limit is judged by what all gateways counted and the operator said, from the first request', async () => {
  const one = await stack.gateway()
  const { id, keys } = await userWithKeys(1)
  const [key] = keys as [string]
  for (let i = 0; i < 3; i++) expect((await create(one.url, key)).status).toBe(202)
  await until('it to be told', async () => {
    const rows = await stack.db.userUsage.findMany({ where: { userId: id, kind: 'creates_day' } })
    return rows[0]?.used === 3n || undefined
  })
  await stack.keys.setLimits(id, { createsPerDay: 3, openVideos: 9 })
  // each has never heard of the user
  const shown = await stack.ask('GET', '/api/me/limits', {
    url: (await stack.gateway()).url,
    key,
  })
  expect(shown.body).toMatchObject({
    createsPerDay: { limit: 3, used: 3 },
    openVideos: { limit: 9, used: 3 },
  })
  expect((await create((await stack.gateway()).url, key)).body['limit']).toEqual({
    name: 'createsPerDay',
    limit: 3,
    used: 3,
  })
  // nor is what it knew of one that came back after a while
  await setTimeout(1_500)
  await stack.keys.setLimits(id, { createsPerDay: 4 })
  expect((await create(one.url, key)).status).toBe(202)
  await setTimeout(1_500)
  await stack.keys.setLimits(id, { createsPerDay: 3 })
  expect((await create(one.url, key)).body).toMatchObject({ code: 'limit_exceeded' })
})

it('windows that are over are forgotten', async () => {
  const { keys, id } = await userWithKeys(1)
  await stack.db.$executeRaw`INSERT INTO "UserUsage" ("userId", kind, "window", used)
    SELECT ${id}::uuid, kind, now() - age::interval, 1 FROM (VALUES ('requests', '6 minutes'), ('creates_day', '3 days'), ('creates_day', '1 day')) AS old(kind, age)`
  const { url } = await stack.gateway()
  await stack.ask('GET', '/api/me', { url, key: keys[0]! })
  await until('only what counts to be left', async () => {
    const left = await stack.db.userUsage.findMany({
      where: { userId: id, used: 1, kind: 'creates_day' },
    })
    const old = await stack.db.userUsage.count({
      where: { userId: id, window: { lt: new Date(Date.now() - 300_000) } },
    })
    return (left.length === 1 && old === 1) || undefined
  })
})

describe('a request sent again under its key', () => {
  const under = (url: string, key: string, name: string, path = '/api/videos') =>
    stack.ask('POST', path, {
      url,
      key,
      body: path === '/api/videos' ? { prompt: 'x' } : {},
      headers: { 'idempotency-key': name },
    })
  const usedOf = async (url: string, key: string) => {
    const { body } = await stack.ask('GET', '/api/me/limits', { url, key })
    return (body as unknown as Record<string, { used: number }>)['createsPerDay']?.used
  }

  it('is counted once, and answered however full the limits are', async () => {
    const { url } = await stack.gateway({ MAX_CREATES_PER_DAY: '2' })
    const { keys } = await userWithKeys(1)
    const key = keys[0]!
    const first = await under(url, key, 'a')
    for (let i = 0; i < 3; i++)
      expect((await under(url, key, 'a')).body['id']).toBe(first.body['id'])
    expect(await usedOf(url, key)).toBe(1)
    expect((await under(url, key, 'b')).status).toBe(202)
    expect((await under(url, key, 'c')).status).toBe(429)
    expect((await under(url, key, 'a')).body['id']).toBe(first.body['id'])
    expect(await usedOf(url, key)).toBe(2)
  })

  it('for a whole script is refused whole, and leaves nothing behind', async () => {
    const { url } = await stack.gateway({ MAX_CREATES_PER_DAY: '1' })
    const { keys } = await userWithKeys(1)
    const ask = async (method: string, path: string, body?: unknown) =>
      (await stack.ask(method, path, { url, key: keys[0]!, body })).body
    const project = `/api/projects/${String((await ask('POST', '/api/projects', { title: 'x' }))['id'])}`
    const script = `${project}/scripts/${String((await ask('POST', `${project}/scripts`, { title: 'x' }))['id'])}`
    for (const prompt of ['one', 'two']) await ask('POST', `${script}/scenes`, { prompt })
    expect((await under(url, keys[0]!, 'all', `${script}/generate-videos`)).status).toBe(429)
    expect((await ask('GET', '/api/scene-videos')).data).toEqual([])
    expect((await create(url, keys[0]!)).status).toBe(202)
    const scenes = await stack.db.scene.count({ where: { prompt: 'x' } })
    expect((await create(url, keys[0]!)).status).toBe(429)
    expect(await stack.db.scene.count({ where: { prompt: 'x' } })).toBe(scenes)
  })
})

describe('streams', () => {
  it('are shared: a user and a token have a part of them, and leave room for others', async () => {
    const { url } = await stack.gateway({ MAX_STREAMS: '6', MAX_STREAMS_PER_TOKEN: '2' })
    const token = async (key = stack.apiKey) =>
      String((await stack.ask('POST', '/api/stream-tokens', { key, url })).body['token'])
    const mine = await token()
    const open = async (as: string) => {
      const stop = new AbortController()
      const answer = await fetch(`${url}/api/events?token=${as}`, { signal: stop.signal })
      if (answer.status === 200) return { status: 200, code: '', stop }
      return { status: answer.status, code: ((await answer.json()) as { code: string }).code, stop }
    }
    const streams = [await open(mine), await open(mine)]
    const third = await open(mine)
    expect([third.status, third.code]).toEqual([429, 'too_many_streams'])
    streams.push(await open(await token()))
    const fourth = await open(await token())
    expect([fourth.status, fourth.code]).toEqual([429, 'too_many_streams'])
    // somebody else's is not touched
    streams.push(await open(await token(stranger)))
    expect(streams.map((one) => one.status)).toEqual([200, 200, 200, 200])
    for (const { stop } of streams) stop.abort()
  })
})
