/** What somebody else's key gets of every route: what is theirs, and nothing that is not. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack, type Answer } from '../support/gateway-kit.ts'
import { bodies, fill, ofNobody, operationsOf, type Operation } from '../support/operations.ts'

const stack = new Stack()
let videoId = ''
let keyId = ''
let bulkId = ''
beforeAll(async () => {
  await stack.start()
  videoId = String((await stack.ask('POST', `${stack.scenePath}/generate-video`)).body['id'])
  keyId = (await stack.keys.create(stack.demo.userId, ['read'], null)).id
  const bulk = { action: 'retry', filter: {} }
  bulkId = String((await stack.ask('POST', '/api/bulk-actions', { body: bulk })).body['id'])
})
afterAll(() => stack[Symbol.asyncDispose]())

const operations = () => operationsOf(stack)
const own = (template: string) =>
  fill(template, { ...stack.demo, sceneId: stack.demo.sceneIds[0]!, videoId, keyId, bulkId })
const nobody = (template: string) => fill(template, ofNobody)

let key = ''
beforeAll(async () => {
  key = await stack.stranger()
  await stack.ask('PUT', '/api/me/ai-config', {
    body: { provider: 'toapis', model: 'mine', apiKey: 'of-no-use-at-the-provider' },
  })
})
const mine = (path: string) => stack.ask('GET', path)
const ofProject = async (path: string) =>
  expect(
    (await stack.ask('GET', `${path}?projectId=${stack.demo.projectId}`, { key })).status,
  ).toBe(404)
const myConfigStays = async () =>
  expect((await mine('/api/me/ai-config')).body).toMatchObject({ model: 'mine', source: 'user' })

/** Routes that name nothing of anybody: what a stranger gets there, and does not. */
const table: Record<string, (answer: Answer) => unknown> = {
  async listVideos({ status, body }) {
    expect([status, body['data']]).toEqual([200, []])
    for (const filter of [
      `projectId=${stack.demo.projectId}`,
      `scriptId=${stack.demo.scriptId}`,
      `sceneId=${stack.demo.sceneIds[0]}`,
      'status=pending',
    ])
      expect((await stack.ask('GET', `/api/scene-videos?${filter}`, { key })).body['data']).toEqual(
        [],
      )
  },
  async createProject({ status, body }) {
    expect(status).toBe(201)
    expect((await mine(`/api/projects/${String(body['id'])}`)).status).toBe(404)
  },
  async listProjects({ body }) {
    expect(JSON.stringify(body)).not.toContain(stack.demo.projectId)
  },
  async countVideos({ body }) {
    expect(body).toMatchObject({ total: 0 })
    const { projectId } = stack.demo
    const answer = await stack.ask('GET', `/api/scene-videos/counts?projectId=${projectId}`, {
      key,
    })
    expect(answer.body).toMatchObject({ total: 0 })
  },
  // what is sent is nobody's but the sender's: gateway-uploads.test.ts shows it with an image
  createUpload: ({ status }) => expect(status).toBe(415),
  getStats: ({ body }) => expect(body).toMatchObject({ data: [] }),
  getMe: ({ body }) => expect(body['userId']).not.toBe(stack.demo.userId),
  getLimits: ({ body }) => expect(body).toMatchObject({ openVideos: { used: 0 } }),
  listModels: ({ body }) => expect(JSON.stringify(body)).not.toContain(stack.demo.userId),
  async createVideo({ status, body }) {
    expect(status).toBe(202)
    expect((await mine(`/api/scene-videos/${String(body['id'])}`)).status).toBe(404)
  },
  async createBulkAction({ body }) {
    expect(body).toMatchObject({ counts: { todo: 0, done: 0, refused: 0 } })
    for (const wanted of [{ ids: [videoId] }, { filter: { projectId: stack.demo.projectId } }])
      for (const action of ['retry', 'cancel']) {
        const made = await stack.ask('POST', '/api/bulk-actions', {
          key,
          body: { action, ...wanted },
        })
        expect(made.body).toMatchObject({ counts: { todo: 0, done: 0, refused: 0 } })
      }
  },
  events: () => ofProject('/api/events'),
  webSocket: () => ofProject('/api/ws'),
  getUserAiConfig: ({ body }) =>
    // of the operator's account nobody is shown anything
    expect(body).toMatchObject({ source: 'system', baseUrl: null, apiKeyLast4: null }),
  async putUserAiConfig({ body }) {
    expect(body).toMatchObject({ model: 'theirs', baseUrl: null, apiKeyLast4: null })
    await myConfigStays()
  },
  testUserAiConfig: ({ body }) => expect(body).toMatchObject({ ok: true, source: 'user' }),
  async deleteUserAiConfig({ status }) {
    expect(status).toBe(204)
    await myConfigStays()
  },
  async createApiKey({ status, body }) {
    expect(status).toBe(201)
    expect(JSON.stringify((await mine('/api/api-keys')).body)).not.toContain(String(body['id']))
    expect(
      (await stack.ask('GET', `/api/scene-videos/${videoId}`, { key: String(body['apiKey']) }))
        .status,
    ).toBe(404)
  },
  listApiKeys: ({ body }) => expect(JSON.stringify(body)).not.toContain(keyId),
  async createStreamToken({ body }) {
    for (const path of [
      `/api/events?projectId=${stack.demo.projectId}&`,
      `/api/scene-videos/${videoId}/events?`,
      `/api/scene-videos/${videoId}/file?`,
    ])
      expect(
        (await stack.ask('GET', `${path}token=${String(body['token'])}`, { key: null })).status,
      ).toBe(404)
  },
}
/** Streams do not end: of these only what is refused is asked for. */
const endless = new Set(['events', 'webSocket'])

it('a stranger has a row in this table, or an id, for every route with a key', () => {
  const missing = operations().filter(
    ({ template, operationId, security }) =>
      security?.length !== 0 && !/\{|^\/api\/operator\//.test(template) && !table[operationId],
  )
  expect(
    missing.map(
      ({ method, template }) =>
        `${method} ${template}: say in this table what a stranger gets there`,
    ),
  ).toEqual([])
  expect(
    operations()
      .filter(({ security }) => security?.length === 0)
      .map(({ operationId }) => operationId)
      .sort(),
  ).toEqual([
    'docs',
    'getUpload',
    'livez',
    'metrics',
    'openapi',
    'readyz',
    'webhook',
    'webhookForVideo',
  ])
})

it('a stranger is told of nothing that is not theirs, as if it were not there', async () => {
  const withIds = operations().filter(
    ({ template }) =>
      template.startsWith('/api') &&
      !template.startsWith('/api/operator') &&
      template.includes('{'),
  )
  expect(withIds.length).toBeGreaterThan(12)
  for (const { method, template, operationId } of withIds) {
    const theirs = await stack.ask(method, own(template), { key, body: bodies[operationId] })
    expect([theirs.status, theirs.body['code']], `${method} ${template}`).toEqual([
      404,
      'not_found',
    ])
    const unknown = await stack.ask(method, nobody(template), { body: bodies[operationId] })
    const { requestId: _mine, ...said } = unknown.body
    const { requestId: _theirs, ...told } = theirs.body
    expect([unknown.status, said], `${method} ${template}, of nobody`).toEqual([404, told])
  }
})

it('a stranger gets nothing of what is the operator’s, whatever scopes they have', async () => {
  const operator = operations().filter(({ template }) => template.startsWith('/api/operator'))
  expect(operator.length).toBeGreaterThan(8)
  for (const { method, template } of operator) {
    const answer = await stack.ask(method, own(template), { key })
    expect([answer.status, answer.body['code']], `${method} ${template}`).toEqual([
      403,
      'insufficient_scope',
    ])
  }
  const made = await stack.ask('POST', '/api/api-keys', { key, body: { scopes: ['operator'] } })
  expect(made.status).toBe(400)
})

it('a stranger gets their own where nobody is named', async () => {
  const ask = async ({ method, template, operationId }: Operation) =>
    endless.has(operationId)
      ? ({} as Answer)
      : stack.ask(method, template, { key, body: bodies[operationId] })
  const asked = operations()
    .filter(({ operationId }) => table[operationId])
    .toSorted(
      (a, b) =>
        Object.keys(table).indexOf(a.operationId) - Object.keys(table).indexOf(b.operationId),
    )
  expect(asked).toHaveLength(Object.keys(table).length)
  for (const operation of asked) await table[operation.operationId]!(await ask(operation))
})
