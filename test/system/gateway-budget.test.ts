/** Money: prices as the operator tells them, and what one user may spend of it. */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
const prices = { PRICES: 'toapis/sora-2=0.1/second, toapis/*=2/video', PRICE_CURRENCY: 'EUR' }
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

async function user() {
  const { id } = await stack.keys.createUser('spender')
  const key = (await stack.keys.create(id, ['read', 'write', 'admin'], null)).apiKey
  return { id, key }
}
type Asked = Awaited<ReturnType<Stack['ask']>>
const asker =
  (url: string, key: string) =>
  (
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Asked> =>
    stack.ask(method, path, { url, key, headers, ...(body === undefined ? {} : { body }) })
const underKey = (key: string) => ({ 'idempotency-key': key })
const eightSeconds = { prompt: 'x', durationSeconds: 8 }

it('a create says what it costs, in its record, its event, the catalogue and dry runs', async () => {
  const { url } = await stack.gateway(prices)
  const { key } = await user()
  const ask = asker(url, key)
  const made = await ask('POST', '/api/videos', eightSeconds)
  expect(made.body['cost']).toEqual({ amount: 0.8, currency: 'EUR' })
  const [event] = await stack.db.timeline.findMany({ where: { videoId: String(made.body['id']) } })
  expect(event!.snapshot).toMatchObject({ cost: { amount: 0.8, currency: 'EUR' } })
  const models = (await ask('GET', '/api/models')).body.data as unknown as { price: unknown }[]
  expect(models[0]!.price).toEqual({ amount: 0.1, currency: 'EUR', per: 'second' })
  const place = made.body as unknown as { projectId: string; scriptId: string }
  const script = `/api/projects/${place.projectId}/scripts/${place.scriptId}`
  const dry = await ask('POST', `${script}/generate-videos`, {
    only: 'all',
    dryRun: true,
    durationSeconds: 5,
  })
  expect(dry.body['cost']).toMatchObject({
    creates: 1,
    price: { amount: 0.5, currency: 'EUR', unpriced: 0 },
  })
  // where no length is asked for, ten seconds are taken for one
  expect((await ask('POST', '/api/videos', { prompt: 'x' })).body['cost']).toMatchObject({
    amount: 1,
  })
  const limits = (await ask('GET', '/api/me/limits')).body
  expect(limits['spendPerDay']).toEqual({ limit: null, used: 1.8, currency: 'EUR' })
})

it('a budget holds exactly over gateways, names what is exceeded, and takes nothing for a repeat', async () => {
  const env = { ...prices, MAX_SPEND_PER_DAY: '4.1', MAX_SPEND_PER_MONTH: '100' }
  const [one, two] = [await stack.gateway(env), await stack.gateway(env)]
  const { id, key } = await user()
  const asks = [asker(one.url, key), asker(two.url, key)]
  const settled = (i: number) =>
    until('an answer', async () => {
      const got = await asks[i % 2]!('POST', '/api/videos', eightSeconds, underKey(`key ${i}`))
      return [409, 503].includes(got.status) ? undefined : got
    })
  const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => settled(i)))
  expect(answers.filter((one) => one.status === 202)).toHaveLength(5)
  expect(answers.filter((one) => one.status === 402)).toHaveLength(35)
  const refused = answers.find((one) => one.status === 402)!
  expect(refused.body).toMatchObject({
    code: 'budget_exceeded',
    limit: { name: 'spendPerDay', limit: 4.1, used: 4 },
  })
  // nothing is left behind of what was refused, and it counts against no other limit
  expect(await stack.db.sceneVideo.count({ where: { userId: id } })).toBe(5)
  const limits = (await asks[1]!('GET', '/api/me/limits')).body
  expect(limits).toMatchObject({
    spendPerDay: { limit: 4.1, used: 4, currency: 'EUR' },
    spendPerMonth: { limit: 100, used: 4, currency: 'EUR' },
  })
  // the operator's exception counts at once, and a month has its own
  await stack.keys.setLimits(id, { spendPerDay: 50, spendPerMonth: 4.8 })
  const under = underKey('once')
  const first = await asks[0]!('POST', '/api/videos', eightSeconds, under)
  expect(first.status).toBe(202)
  const again = await asks[1]!('POST', '/api/videos', eightSeconds, under)
  expect([again.status, again.body['id']]).toEqual([202, first.body['id']])
  const month = await asks[0]!('POST', '/api/videos', eightSeconds)
  expect([month.status, month.body['limit']]).toEqual([
    402,
    { name: 'spendPerMonth', limit: 4.8, used: 4.8 },
  ])
  // somebody else is not touched
  expect(
    (await asker(one.url, (await user()).key)('POST', '/api/videos', eightSeconds)).status,
  ).toBe(202)
})

it('of two at once under one key none is refused where there is room for one', async () => {
  const env = { ...prices, MAX_SPEND_PER_DAY: '0.8' }
  const [one, two] = [await stack.gateway(env), await stack.gateway(env)]
  for (let round = 0; round < 10; round++) {
    const { id, key } = await user()
    const asks = [asker(one.url, key), asker(two.url, key)]
    const both = await Promise.all(
      asks.map((ask) => ask('POST', '/api/videos', eightSeconds, underKey('once'))),
    )
    expect(both.map((answer) => answer.status)).toEqual([202, 202])
    expect(both[0]!.body['id']).toBe(both[1]!.body['id'])
    const spends = await stack.db.userSpend.findMany({ where: { userId: id } })
    expect(spends.map((spend) => Number(spend.dayMicros))).toEqual([800_000])
    // what is refused leaves its key free, and no scene
    const refused = await asks[0]!('POST', '/api/videos', eightSeconds, underKey('other'))
    expect(refused.status).toBe(402)
    expect(await stack.db.scene.count({ where: { script: { project: { userId: id } } } })).toBe(1)
    await stack.keys.setLimits(id, { spendPerDay: 1.6 })
    const later = await asks[0]!('POST', '/api/videos', eightSeconds, underKey('other'))
    expect(later.status).toBe(202)
  }
})

it('nobody waits for another user’s budget', async () => {
  const { url } = await stack.gateway({ ...prices, MAX_SPEND_PER_DAY: '100' })
  const [held, other] = [await user(), await user()]
  const ask = asker(url, held.key)
  const create = () => ask('POST', '/api/videos', eightSeconds)
  expect((await create()).status).toBe(202)
  const holder = new pg.Client(stack.databaseUrl)
  await holder.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT 1 FROM "UserSpend" WHERE "userId" = $1 FOR UPDATE', [held.id])
  const many = Array.from({ length: 40 }, create)
  const waiting = async () => {
    const rows = await stack.db.$queryRaw<unknown[]>`
      SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO "UserSpend"%'`
    return rows.length
  }
  await until('some to wait', async () => (await waiting()) >= 4 || undefined)
  for (let i = 0; i < 3; i++)
    expect((await asker(url, other.key)('POST', '/api/videos', eightSeconds)).status).toBe(202)
  expect(await waiting()).toBeLessThanOrEqual(4)
  await holder.query('ROLLBACK')
  await holder.end()
  const statuses = (await Promise.all(many)).map((one) => one.status)
  expect(statuses.every((status) => status === 202 || status === 503)).toBe(true)
  // also of those who waited too long
  const made = await stack.db.sceneVideo.count({ where: { userId: held.id } })
  const [spend] = await stack.db.userSpend.findMany({ where: { userId: held.id } })
  expect(Number(spend!.dayMicros)).toBe(made * 800_000)
})

it('a retry is charged where it creates, and what is refused is not', async () => {
  const { url } = await stack.gateway({ ...prices, MAX_SPEND_PER_DAY: '1.6' })
  const { id, key } = await user()
  const ask = asker(url, key)
  const spent = async () => {
    const { spendPerDay } = (await ask('GET', '/api/me/limits')).body as unknown as {
      spendPerDay: { used: number }
    }
    return spendPerDay.used
  }
  const video = String((await ask('POST', '/api/videos', eightSeconds)).body['id'])
  const early = await ask('POST', `/api/scene-videos/${video}/retry`, {})
  expect([early.status, await spent()]).toEqual([409, 0.8])
  const fail = async () => {
    await until('the provider to have taken it', async () => {
      const { phase } = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id: video } })
      return phase === 'submitted' || undefined
    })
    await stack.db.sceneVideo.update({
      where: { id: video },
      data: { status: 'failed', phase: 'done', errorCode: 'provider_failed', errorMessage: '' },
    })
  }
  const settle = (outcome: string) =>
    stack.db.submission.updateMany({
      where: { videoId: video },
      data: { outcome, settledAt: new Date() },
    })
  await fail()
  await settle('failed')
  const dry = { action: 'retry', ids: [video], dryRun: true }
  const cost = async () => (await ask('POST', '/api/bulk-actions', dry)).body['cost']
  expect(await cost()).toMatchObject({
    creates: 1,
    price: { amount: 0.8, currency: 'EUR', unpriced: 0 },
  })
  expect((await ask('POST', `/api/scene-videos/${video}/retry`, {})).status).toBe(202)
  expect(await spent()).toBe(1.6)
  await fail()
  await settle('failed')
  expect((await ask('POST', `/api/scene-videos/${video}/retry`, {})).status).toBe(402)
  expect((await ask('POST', '/api/bulk-actions', { action: 'retry', ids: [video] })).status).toBe(
    402,
  )
  const { projectId } = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id: video } })
  expect((await ask('POST', `/api/projects/${projectId}/retry-failed`, {})).status).toBe(402)
  // a result that came late is paid for already
  await settle('completed')
  expect(await cost()).toMatchObject({ late: 1, price: null })
  expect((await ask('POST', `/api/scene-videos/${video}/retry`, {})).status).toBe(202)
  expect([await spent(), await stack.db.userSpend.count({ where: { userId: id } })]).toEqual([
    1.6, 1,
  ])
})
