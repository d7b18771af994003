/** What a dialect may declare beside a create and a query. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makePlain, plain, startSaid } from '../../test/support/said-by-path.ts'
import { joinCredentials, settingOf, splitCredentials } from './credentials.ts'
import type { Dialect } from './edge/dialect.ts'
import { firstText } from './edge/fields.ts'

let server: Awaited<ReturnType<typeof startSaid>>
beforeAll(async () => {
  server = await startSaid()
})
afterAll(() => server.close())
beforeEach(() => {
  server.now.asked = []
  server.now.says = {}
})
const account = () => ({ baseUrl: server.baseUrl, apiKey: 'sk-needle-of-this-test' })

describe('credentials of several parts', () => {
  const parts = [
    { name: 'secretId', meaning: 'id', isPublic: true },
    { name: 'secretKey', meaning: 'key' },
    { name: 'region', meaning: 'where', isPublic: true, isOptional: true },
  ] as const
  it('are one text, and come apart again', () => {
    const given = { secretId: 'AK', secretKey: 's{e"c' }
    expect(splitCredentials(parts, joinCredentials(parts, given)!)).toEqual(given)
    expect(joinCredentials(parts, { secretId: 'AK' })).toBeNull()
    expect(joinCredentials(parts, { ...given, other: 'x' })).toBeNull()
    expect(settingOf('secretId')).toBe('SECRET_ID')
  })

  it('are what a request is signed with, and its secret parts are blanked', async () => {
    server.now.says['/tasks/a'] = [200, { id: 'a', status: 'what secret-of-the-test AK-public' }]
    const provider = makePlain(
      {
        authenticate: ({ credentials }, { method, path, nowSeconds }) => ({
          headers: { signature: `${credentials['secretId']} ${method} ${path} ${nowSeconds}` },
          secrets: [],
        }),
      },
      { credentials: parts, nowSeconds: () => 77 },
    )
    const apiKey = joinCredentials(parts, {
      secretId: 'AK-public',
      secretKey: 'secret-of-the-test',
    })!
    const { answer } = await provider.get({ baseUrl: server.baseUrl, apiKey }, 'a')
    expect(server.now.asked[0]!.headers['signature']).toBe('AK-public GET /tasks/a 77')
    expect(answer).toMatchObject({ kind: 'unknown', body: expect.stringContaining('AK-public') })
    expect(JSON.stringify(answer)).not.toContain('secret-of-the-test')
  })
})

it('logs in before the first request, and again only when the token is about to end', async () => {
  let now = 1_000
  const provider = makePlain(
    {
      login: {
        ask: ({ apiKey }) => ({
          path: '/login',
          body: `key=${apiKey}`,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
        token: ['access_token'],
        lifeSeconds: ['expires_in'],
      },
      authenticate: ({ token }) => ({
        headers: { authorization: `Bearer ${token}` },
        secrets: [],
      }),
    },
    { nowSeconds: () => now },
  )
  server.now.says['/login'] = [200, { access_token: 'token-1', expires_in: 3_600 }]
  server.now.says['/tasks/a'] = [200, { id: 'a', status: 'running' }]
  await Promise.all([provider.get(account(), 'a'), provider.get(account(), 'a')])
  expect(server.now.asked.map(({ path }) => path).sort()).toEqual([
    '/login',
    '/tasks/a',
    '/tasks/a',
  ])
  expect(server.now.asked.at(-1)!.headers.authorization).toBe('Bearer token-1')
  now += 3_560
  server.now.says['/login'] = [500, {}]
  expect(await provider.create(account(), { ownId: 'o', model: 'm', prompt: 'p' })).toMatchObject({
    kind: 'later',
  })
  expect(server.now.asked.at(-1)!.path).toBe('/login')
  server.now.says['/login'] = [401, { code: 'x', message: 'no sk-needle-of-this-test' }]
  const refused = await provider.create(account(), { ownId: 'o', model: 'm', prompt: 'p' })
  expect(refused).toMatchObject({ kind: 'refused', error: { code: 'bad_key' } })
  expect(JSON.stringify(refused)).not.toContain('needle')
})

it('keeps a handle of its own making, and reads the id out of it', async () => {
  const provider = makePlain({
    handle: (answer, { model }) => `${model} ${firstText(answer, ['id'])}`,
    idOf: (handle) => handle.split(' ')[1]!,
    get: (handle) => ({ path: `/${handle.split(' ').join('/')}` }),
  })
  server.now.says['/create'] = [200, { id: 'a' }]
  server.now.says['/m/a'] = [200, { id: 'a', status: 'running' }]
  server.now.says['/m/b'] = [200, { id: 'a', status: 'running' }]
  const created = await provider.create(account(), { ownId: 'o', model: 'm', prompt: 'p' })
  expect(created).toEqual({ kind: 'accepted', taskId: 'm a' })
  expect((await provider.get(account(), 'm a')).answer).toMatchObject({ kind: 'working' })
  expect((await provider.get(account(), 'm b')).answer).toMatchObject({ kind: 'unknown' })
})

describe('a result that needs a second query', () => {
  const result: Dialect['result'] = {
    ask: (answer) => ({ path: `/files/${firstText(answer, ['file'])}` }),
    links: ['link'],
  }
  it.each([
    [200, { link: 'https://e.com/v.mp4' }, { kind: 'done', videoUrl: 'https://e.com/v.mp4' }],
    [200, {}, { kind: 'unusable' }],
    [422, { code: 'x', message: 'no luck' }, { kind: 'failed', error: { message: 'no luck' } }],
    [429, {}, { kind: 'later' }],
    [504, {}, { kind: 'none' }],
    [401, {}, { kind: 'none' }],
  ])('%i %j', async (status, body, meaning) => {
    server.now.says['/tasks/a'] = [200, { id: 'a', status: 'done', file: '7' }]
    server.now.says['/files/7'] = [status, body]
    expect((await makePlain({ result }).get(account(), 'a')).answer).toMatchObject(meaning)
  })
})

it('reads the word where it follows from more than one field, and what policy held back', async () => {
  const word = (json: unknown, status: number) =>
    status === 202 ? 'running' : firstText(json, ['status'])
  const provider = makePlain({ task: { ...plain.task, word } })
  server.now.says['/tasks/a'] = [202, undefined]
  expect((await provider.get(account(), 'a')).answer).toMatchObject({ kind: 'working' })
  server.now.says['/tasks/a'] = [200, { id: 'a', status: 'blocked' }]
  expect((await provider.get(account(), 'a')).answer).toMatchObject({
    kind: 'failed',
    error: { code: 'content_policy' },
  })
})

it('waits the seconds that only a text tells, and takes its own 404 for absence', async () => {
  const provider = makePlain({ laterSeconds: /in ~(\d+)s/, missingStatus: 404 })
  server.now.says['/tasks/a'] = [429, { message: 'resets in ~30s' }]
  expect((await provider.get(account(), 'a')).answer).toEqual({
    kind: 'later',
    retryAfterMs: 30_000,
  })
  server.now.says['/tasks/a'] = [404, { message: 'Not found.' }]
  expect((await provider.get(account(), 'a')).answer).toEqual({ kind: 'missing' })
  server.now.says['/tasks/a'] = [404, 'nothing of its own']
  expect((await provider.get(account(), 'a')).answer).toMatchObject({ kind: 'none' })
})

describe('codes', () => {
  const dialect: Partial<Dialect> = {
    codes: { 'a.policy': 'content_policy', a: 'invalid_request', 'busy.broke': 'bad_key' },
    faultCodes: ['fault'],
    duplicateText: /OwnId/,
  }
  const create = async (status: number, code: string, message = 'why') => {
    server.now.says['/create'] = [status, { code, message }]
    const made = { ownId: 'o', model: 'm', prompt: 'p' }
    return makePlain(dialect).create(account(), made)
  }
  it.each([
    ['A.Policy', { kind: 'refused', error: { code: 'content_policy' } }],
    ['a.b.c', { kind: 'refused', error: { code: 'invalid_request' } }],
    ['busy.rate', { kind: 'later' }],
    ['busy.broke', { kind: 'refused', error: { code: 'bad_key' } }],
    ['fault.inner', { kind: 'unknown' }],
  ])('of a family count as the nearest that is listed, at any status: %s', async (code, meant) => {
    for (const status of [200, 400]) expect(await create(status, code)).toMatchObject(meant)
  })

  it('tell an own id that is there already by a text', async () => {
    expect(await create(400, 'x', 'this OwnId exists')).toMatchObject({ kind: 'unknown' })
  })

  it('in a 200 of a query are no state of the task', async () => {
    server.now.says['/tasks/a'] = [200, { code: 'bad-key', message: 'no' }]
    expect((await makePlain(dialect).get(account(), 'a')).answer).toMatchObject({ kind: 'none' })
  })
})

it('refuses what cannot be asked, without asking', async () => {
  const provider = makePlain({ create: () => ({ refused: 'no pictures' }) })
  const created = await provider.create(account(), { ownId: 'o', model: 'm', prompt: 'p' })
  expect(created).toMatchObject({
    kind: 'refused',
    error: { code: 'invalid_request', message: expect.stringContaining('no pictures') },
  })
  expect(server.now.asked).toEqual([])
})

it('takes a word for absence where it is the provider’s own', async () => {
  const provider = makePlain({ words: { nowhere: 'missing' } })
  server.now.says['/tasks/a'] = [200, { id: 'a', status: 'NOWHERE' }]
  expect((await provider.get(account(), 'a')).answer).toEqual({ kind: 'missing' })
})
