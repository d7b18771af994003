/**
 * The circuit of an account whose creates fail: its videos wait and say so, one create is tried at
 * a time, another account of the same provider notices nothing, and an operator can hold it.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import { removeUnusedAccounts } from '#libs/store/unused-accounts.ts'
import { MemoryProviderAccounts } from '../simulation/memory-provider-accounts.ts'
import { BadProvider } from '../support/bad-provider.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack({ ALLOW_PRIVATE_BASE_URLS: 'true', LOOKUP_WINDOW_MS: '26000' })
let bad: BadProvider
let operator = ''
const tenants = { bad: '', good: '' }

beforeAll(async () => {
  await stack.start()
  await stack.submit()
  await stack.poller()
  await stack.simulate({ tier: 'off', minSeconds: 1, maxSeconds: 2 })
  bad = await BadProvider.before(stack.simulatorUrl)
  const account = async (baseUrl: string) => {
    const key = await stack.stranger()
    const body = { provider: 'toapis', baseUrl, apiKey: 'sk-of-a-tenant-0123456789' }
    expect((await stack.ask('PUT', '/api/me/ai-config', { key, body })).status).toBe(200)
    return key
  }
  tenants.bad = await account(bad.baseUrl)
  tenants.good = await account(`${stack.simulatorUrl}/v1`)
  const { id } = await stack.keys.createUser('operator')
  operator = (await stack.keys.create(id, ['operator'], 'on call')).apiKey
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  await bad[Symbol.asyncDispose]()
})

/** A gateway on a busy machine may answer 503: asked again, under the same key. */
const make = (count: number, key: string): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, () => {
      const headers = { 'idempotency-key': randomUUID() }
      return until('a video to be accepted', async () => {
        const made = await stack.ask('POST', '/api/videos', { key, headers, body: { prompt: 'x' } })
        return made.status === 202 ? String(made.body['id']) : undefined
      })
    }),
  )
const video = async (id: string, key: string) =>
  (await stack.ask('GET', `/api/scene-videos/${id}`, { key })).body
const ended = (ids: string[], key: string) =>
  until(
    'all to end',
    async () => {
      const all = await Promise.all(ids.map((id) => video(id, key)))
      return all.every(({ status }) => status === 'completed') ? all : undefined
    },
    240_000,
  )

interface Circuit {
  accountId: string
  state: string
  held: string | null
  reason: string | null
  nextTryAt: string | null
  acts: object[]
}
const circuitOf = async (host: string) => {
  const { body } = await stack.ask('GET', '/api/operator/circuits', { key: operator })
  const all = body['circuits'] as (Circuit & { host: string })[]
  return all.find((one) => one.host === host)!
}
const badHost = () => new URL(bad.baseUrl).host

it('opens where creates fail widely, and closes by itself when one that is tried goes well', async () => {
  // from then on it is known that look-ups find there
  await ended(await make(1, tenants.bad), tenants.bad)
  bad.way = 'broken'
  // fewer than twice the five that open it: the two submits judge by what both have sent
  const first = await make(6, tenants.bad)
  await until('it to open', async () => (await circuitOf(badHost())).state === 'open' || undefined)
  const before = bad.asked.creates
  const ids = [...first, ...(await make(60, tenants.bad))]
  const waiting = await until('a video to say so', async () => {
    const { status, phase, waiting: why } = await video(ids.at(-1)!, tenants.bad)
    return phase === 'throttled' ? { status, why } : undefined
  })
  expect(waiting).toMatchObject({
    status: 'pending',
    why: { reason: expect.stringMatching(/^circuit open: .*(creates failed|500)/) },
  })
  // meanwhile, at another account of that provider
  await ended(await make(5, tenants.good), tenants.good)
  expect(await circuitOf(new URL(stack.simulatorUrl).host)).toMatchObject({ state: 'closed' })
  // some that were under way, and one that was tried; not one for each of the sixty
  expect(bad.asked.creates - before).toBeLessThan(30)
  bad.way = 'fine'
  await ended(ids, tenants.bad)
  expect(await circuitOf(badHost())).toMatchObject({
    state: 'closed',
    reason: null,
    nextTryAt: null,
  })
})

it('is held by an operator, who is named, until it is reset', async () => {
  bad.way = 'fine'
  const { accountId } = await circuitOf(badHost())
  const act = (what: string, body?: object) =>
    stack.ask('POST', `/api/operator/circuits/toapis/${accountId}/${what}`, { key: operator, body })
  expect((await act('open', { reason: 'its bill is disputed' })).body).toMatchObject({
    state: 'open',
    held: 'open',
    acts: [{ act: 'open', reason: 'its bill is disputed', by: { name: 'on call' } }],
  })
  await new Promise((done) => setTimeout(done, 2_500)) // both submits have read it
  const [id = ''] = await make(1, tenants.bad)
  await until(
    'it to wait',
    async () => (await video(id, tenants.bad))['phase'] === 'throttled' || undefined,
  )
  expect((await video(id, tenants.bad))['waiting']).toMatchObject({
    reason: 'held by an operator: its bill is disputed',
  })
  expect((await act('reset')).body).toMatchObject({ state: 'closed', held: null })
  await ended([id], tenants.bad)

  await act('close')
  await new Promise((done) => setTimeout(done, 2_500))
  bad.way = 'broken'
  await make(12, tenants.bad)
  await until('all to be tried', () => (bad.asked.creates >= 12 ? true : undefined))
  expect(await circuitOf(badHost())).toMatchObject({ state: 'closed', held: 'closed' })
  const missing = await stack.ask('POST', '/api/operator/circuits/toapis/nobody/open', {
    key: operator,
  })
  expect(missing.status).toBe(404)
  // it is nobody else's to see or to change
  const strange = await stack.ask('POST', `/api/operator/circuits/toapis/${accountId}/reset`, {
    key: tenants.bad,
  })
  expect(strange.status).toBe(403)
})

it('opens again for as long in Postgres as in memory', async () => {
  const key = { accountId: 'tried', provider: 'toapis' }
  const stores = [new ProviderAccounts(stack.db), new MemoryProviderAccounts(() => 0)]
  const waits = await Promise.all(
    stores.map(async (store) => {
      const tens: number[] = []
      const see = async () => {
        const state = (await store.circuits()).find((one) => one.accountId === key.accountId)
        tens.push(Math.round(state!.untilTryMs! / 10_000))
      }
      await store.know(key, 'x')
      await store.openAgain(key, 'closed: nothing', 1)
      await store.open(key, '500')
      await see()
      // open: nothing
      await store.open(key, '500')
      for (const further of [0, 0, 1, 0, 1, 1, 1, 0] as const) {
        await store.openAgain(key, '500', further)
        await see()
      }
      await store.close(key)
      await store.open(key, '500')
      await see()
      await store.close(key)
      return tens
    }),
  )
  for (const tens of waits) expect(tens).toEqual([1, 1, 1, 2, 2, 4, 6, 6, 6, 1])
})

it('forgets accounts that nobody has used for long, but those that an operator or a task holds', async () => {
  const days = (n: number) => new Date(Date.now() - n * 86_400_000)
  const act = [{ act: 'close', reason: null, by: { keyId: 'k', name: 'n' } }]
  const accounts = {
    used: { usedAt: days(80) },
    unused: { usedAt: days(100) },
    open: { usedAt: days(100), isOpen: true },
    held: { usedAt: days(100), held: 'closed' },
    told: { usedAt: days(100), acts: act },
    busy: { usedAt: days(100) },
  }
  const key = (accountId: string) => ({ accountId: `old-${accountId}`, provider: 'toapis' })
  for (const [name, more] of Object.entries(accounts)) {
    await stack.db.providerAccount.create({ data: { ...key(name), host: 'x', ...more } })
    await stack.db.accountProof.create({ data: key(name) })
  }
  const taken = { ...key('busy'), videoId: randomUUID(), attempt: 1 }
  await stack.db.providerTask.create({ data: taken })
  expect(await removeUnusedAccounts(stack.db)).toBe(1)
  const where = { accountId: { startsWith: 'old-' } }
  const left = await stack.db.providerAccount.findMany({ where })
  const proven = await stack.db.accountProof.findMany({ where })
  const names = Object.keys(accounts).filter((name) => name !== 'unused')
  expect(left.map((one) => one.accountId.slice(4)).toSorted()).toEqual(names.toSorted())
  expect(proven).toHaveLength(names.length)
  // used again, it is known again
  await new ProviderAccounts(stack.db).know(key('used'), 'x')
  const used = await stack.db.providerAccount.findFirst({ where: key('used') })
  expect(Date.now() - used!.usedAt.getTime()).toBeLessThan(60_000)
  await stack.db.providerTask.delete({
    where: {
      accountId_provider_videoId: {
        accountId: taken.accountId,
        provider: taken.provider,
        videoId: taken.videoId,
      },
    },
  })
  await stack.db.providerAccount.deleteMany({ where })
})
