/** Whose provider account makes the videos: project's, user's or system's; keys stay hidden. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { decrypt, keyEncryptionKey } from '#libs/runtime/secrets.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

const generate = (body?: unknown) =>
  stack.ask('POST', `${stack.scenePath}/generate-video`, { body })
const idOf = (answer: { body: Record<string, unknown> }) => String(answer.body['id'])

const project = () => `/api/projects/${stack.demo.projectId}/ai-config`
afterAll(async () => {
  await stack.ask('DELETE', project())
  await stack.ask('DELETE', '/api/me/ai-config')
})

it('a configuration is the project’s, else the user’s, else the system’s; keys are never answered', async () => {
  expect((await stack.ask('GET', project())).body).toMatchObject({
    provider: 'toapis',
    source: 'system',
    apiKeyLast4: null,
    baseUrl: null,
  })
  const mine = await stack.ask('PUT', '/api/me/ai-config', {
    body: { provider: 'toapis', model: 'mine', apiKey: 'sk-user-key-usr4' },
  })
  expect([mine.status, mine.body]).toEqual([
    200,
    {
      provider: 'toapis',
      model: 'mine',
      baseUrl: null,
      apiKeyLast4: 'usr4',
      source: 'user',
    },
  ])
  expect((await stack.ask('GET', project())).body).toEqual(mine.body)
  const theirs = await stack.ask('PUT', project(), {
    body: {
      provider: 'toapis',
      baseUrl: `${stack.simulatorUrl}/v1/`,
      apiKey: 'sk-project-key-prj4',
    },
  })
  expect(theirs.body).toMatchObject({ source: 'project', apiKeyLast4: 'prj4' })
  const id = idOf(await generate({ prompt: 'with the project’s key' }))
  const [row] = await until('an intent', async () => {
    const rows = await stack.db.submission.findMany({ where: { videoId: id } })
    return rows.length ? rows : undefined
  })
  expect(decrypt(row!.keyCipher, keyEncryptionKey.parse(stack.keyEncryptionKey))).toBe(
    'sk-project-key-prj4',
  )
  expect((await stack.ask('DELETE', project())).status).toBe(204)
  expect((await stack.ask('GET', project())).body['source']).toBe('user')
  expect((await stack.ask('DELETE', '/api/me/ai-config')).status).toBe(204)
  expect((await stack.ask('GET', '/api/me/ai-config')).body['source']).toBe('system')
})

it('a configuration keeps a key only for the address it was given for', async () => {
  const put = (body: object) =>
    stack.ask('PUT', project(), { body: { provider: 'toapis', ...body } })
  expect((await put({ baseUrl: 'https://example.com/v1' })).body['code']).toBe('api_key_required')
  expect((await put({ baseUrl: 'https://example.com/v1', apiKey: 'sk-example-1234' })).status).toBe(
    200,
  )
  expect((await put({ baseUrl: 'https://example.com/v1/', model: 'm2' })).body).toMatchObject({
    apiKeyLast4: '1234',
    model: 'm2',
  })
  expect((await put({ baseUrl: 'https://evil.example/v1' })).body['code']).toBe('api_key_required')
  expect((await put({})).body['code']).toBe('api_key_required')
  expect((await put({ apiKey: null })).body).toMatchObject({
    apiKeyLast4: null,
    source: 'project',
  })
})

it.each([
  'http://127.0.0.1/v1',
  'http://localhost:1/v1',
  'https://10.1.2.3',
  'http://[::1]/',
  'http://[::ffff:192.168.0.1]/',
  'http://2130706433/',
  'http://169.254.169.254/latest',
])('refuses the private address %s', async (baseUrl) => {
  const { status, body } = await stack.ask('PUT', project(), {
    body: { provider: 'toapis', baseUrl, apiKey: 'sk-example-1234' },
  })
  expect([status, body['code']]).toEqual([422, 'base_url_not_allowed'])
})

it('a configuration names a provider that is switched on', async () => {
  const answer = await stack.ask('PUT', project(), { body: { provider: 'nobody' } })
  expect(answer).toMatchObject({ status: 422, body: { code: 'unknown_provider' } })
})

it.each([
  { provider: 'toapis', baseUrl: 'ftp://example.com' },
  { provider: 'toapis', baseUrl: 'https://a:b@example.com' },
  { provider: 'toapis', apiKey: 'with space and é' },
  {},
  { provider: 'toapis', colour: 1 },
])('refuses %j', async (body) => {
  expect((await stack.ask('PUT', project(), { body })).status).toBe(400)
})

it('a configuration is tested at the provider without a charge', async () => {
  expect((await stack.ask('POST', `${project()}/test`)).body).toMatchObject({
    ok: true,
    code: 'ok',
  })
  const config = { provider: 'toapis', apiKey: 'not-a-key-of-theirs' }
  // a body would seem to be what is tested
  expect((await stack.ask('POST', '/api/me/ai-config/test', { body: config })).status).toBe(400)
  await stack.ask('PUT', '/api/me/ai-config', { body: config })
  expect((await stack.ask('POST', '/api/me/ai-config/test')).body).toMatchObject({
    ok: false,
    code: 'no_answer',
    source: 'user',
  })
  await stack.ask('DELETE', '/api/me/ai-config')
  const { tasks } = (await (await fetch(`${stack.simulatorUrl}/ledger`)).json()) as {
    tasks: { client_business_id: string }[]
  }
  const videos = new Set(
    (await stack.db.sceneVideo.findMany({ select: { id: true } })).map((video) => video.id),
  )
  expect(tasks.filter((task) => !videos.has(task.client_business_id.slice(0, 36)))).toEqual([])
})
