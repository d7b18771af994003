/**
 * Every route that is described: that it is what was promised, that a stranger gets nothing of it,
 * and that each of its answers says what is left of the limit.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '#libs/runtime/logger.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import type { Auth } from '#services/gateway/auth.ts'
import { gatewaySettings } from '#services/gateway/config.ts'
import { registerProtection } from '#services/gateway/protection.ts'
import { createApp } from '#services/gateway/server.ts'
import { Stack, type Answer } from '../support/gateway-kit.ts'

const stack = new Stack()
let healthPort = 0
let videoId = ''
let keyId = ''
beforeAll(async () => {
  healthPort = await freePort()
  await stack.start()
  await stack.gateway({ HEALTH_PORT: String(healthPort) })
  videoId = String((await stack.ask('POST', `${stack.scenePath}/generate-video`)).body['id'])
  keyId = (await stack.keys.create(stack.demo.userId, ['read'], null)).id
})
afterAll(() => stack[Symbol.asyncDispose]())

interface Operation {
  template: string
  method: string
  operationId: string
  responses: Record<string, { headers?: object }>
  security?: object[]
}
const operations = (): Operation[] =>
  Object.entries(stack.contract.document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) =>
        ({ template, method: method.toUpperCase(), ...operation }) as unknown as Operation,
    ),
  )

const nobodys = '0197a000-0000-7000-8000-00000000dead'
const fill = (
  template: string,
  ids: { projectId: string; scriptId: string; sceneId: string; id: string },
) =>
  template.replaceAll(/\{(\w+)\}/g, (_, name: string) => ids[name as keyof typeof ids] ?? 'toapis')
const own = (template: string) =>
  fill(template, {
    ...stack.demo,
    sceneId: stack.demo.sceneIds[0]!,
    id: template.includes('api-keys') ? keyId : videoId,
  })
const nobody = (template: string) =>
  fill(template, {
    projectId: nobodys,
    scriptId: nobodys,
    sceneId: nobodys,
    id: template.includes('api-keys') ? 'nobodys' : nobodys,
  })
const bodies: Record<string, unknown> = {
  createProject: { title: 'x' },
  createScript: { title: 'x' },
  createScene: { prompt: 'x' },
  putProjectAiConfig: { provider: 'toapis' },
  putUserAiConfig: { provider: 'toapis', model: 'theirs' },
}

describe('what was promised', () => {
  const promised = `
    POST /api/projects/{projectId}/scripts/{scriptId}/scenes/{sceneId}/generate-video 202
    GET /api/scene-videos/{id} 200 | GET /api/scene-videos 200 | GET /api/scene-videos/{id}/timeline 200
    POST /api/scene-videos/{id}/cancel 202 | POST /api/scene-videos/{id}/retry 202 | POST /api/projects/{projectId}/retry-failed 202
    GET /api/scene-videos/{id}/file 302 | GET /api/scene-videos/{id}/events 200 | GET /api/events 200 | GET /api/ws 101
    GET /api/projects/{projectId} 200 | POST /api/projects 201 | POST /api/projects/{projectId}/scripts 201 | POST /api/projects/{projectId}/scripts/{scriptId}/scenes 201
    PUT /api/projects/{projectId}/ai-config 200 | PUT /api/me/ai-config 200 | GET /api/projects/{projectId}/ai-config 200
    POST /webhooks/{provider} 204 | POST /webhooks/{provider}/{id} 204
    GET /livez 200 | GET /readyz 200 | GET /metrics 200 | GET /openapi.json 200 | GET /docs 200`
    .split(/[|\n]/)
    .map((line) => line.trim())
    .filter(Boolean)

  it('is described', () => {
    const described = operations().map(
      ({ template, method, responses }) =>
        `${method} ${template} ${Object.keys(responses).find((status) => status < '400')}`,
    )
    expect(described).toEqual(expect.arrayContaining(promised))
  })

  it('is answered: a video with every field, times in UTC, absent values null', async () => {
    const made = await stack.ask('POST', `${stack.scenePath}/generate-video`, {
      body: { prompt: 'p', metadata: { a: 1 } },
    })
    expect([made.status, made.headers.get('location')]).toEqual([
      202,
      `/api/scene-videos/${String(made.body['id'])}`,
    ])
    const fields =
      'id sceneId scriptId projectId status phase progress waiting provider model prompt params metadata guarantee taskId videoUrl videoUrlExpiresAt file usage error attempt version createdAt submittedAt startedAt completedAt updatedAt'.split(
        ' ',
      )
    expect(Object.keys(made.body).sort()).toEqual(fields.toSorted())
    expect(made.body).toMatchObject({
      status: 'pending',
      attempt: 1,
      videoUrl: null,
      completedAt: null,
      error: null,
      progress: null,
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    })
    const { data } = (
      await stack.ask('GET', `/api/scene-videos/${String(made.body['id'])}/timeline`)
    ).body as unknown as { data: object[] }
    expect(Object.keys(data[0]!).sort()).toEqual(
      'version attempt at kind status phase progress service detail by epoch'.split(' ').sort(),
    )
    const page = await stack.ask('GET', '/api/scene-videos?limit=1')
    expect(page.body).toEqual({
      data: [expect.objectContaining({ id: made.body['id'] })],
      hasMore: true,
      next: expect.any(String),
    })
    expect((await stack.ask('GET', `/api/projects/${stack.demo.projectId}`)).body).toMatchObject({
      id: stack.demo.projectId,
      title: expect.any(String),
      counts: { generating: 0, completed: 0 },
    })
  })

  it('is there without a key: life, readiness, the document and its pages; the metrics on a port of their own', async () => {
    expect((await stack.ask('GET', '/livez', { key: null })).body).toEqual({ status: 'ok' })
    expect((await stack.ask('GET', '/readyz', { key: null })).body).toEqual({
      status: 'ok',
      failing: [],
    })
    expect((await stack.ask('GET', '/openapi.json', { key: null })).body).toMatchObject({
      openapi: '3.1.0',
    })
    const docs = await fetch(`${stack.gatewayUrl}/docs`)
    expect([docs.status, docs.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/html'),
    ])
    const metrics = await fetch(`http://127.0.0.1:${healthPort}/metrics`)
    expect([metrics.status, metrics.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/plain'),
    ])
    expect((await fetch(`${stack.gatewayUrl}/metrics`)).status).toBe(404)
  })
})

describe('a stranger', () => {
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
        expect(
          (await stack.ask('GET', `/api/scene-videos?${filter}`, { key })).body['data'],
        ).toEqual([])
    },
    async createProject({ status, body }) {
      expect(status).toBe(201)
      expect((await mine(`/api/projects/${String(body['id'])}`)).status).toBe(404)
    },
    events: () => ofProject('/api/events'),
    webSocket: () => ofProject('/api/ws'),
    getUserAiConfig: ({ body }) =>
      expect(body).toMatchObject({ source: 'system', apiKeyLast4: 'sys4' }),
    async putUserAiConfig({ body }) {
      expect(body).toMatchObject({ model: 'theirs', apiKeyLast4: 'sys4' })
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

  it('has a row in this table, or an id, for every route with a key', () => {
    const missing = operations().filter(
      ({ template, operationId, security }) =>
        security?.length !== 0 && !/\{/.test(template) && !table[operationId],
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
    ).toEqual(['docs', 'livez', 'metrics', 'openapi', 'readyz', 'webhook', 'webhookForVideo'])
  })

  it('is told of nothing that is not theirs, as if it were not there', async () => {
    const withIds = operations().filter(
      ({ template }) => template.startsWith('/api') && template.includes('{'),
    )
    expect(withIds.length).toBeGreaterThan(12)
    for (const { method, template, operationId } of withIds) {
      const theirs = await stack.ask(method, own(template), { key, body: bodies[operationId] })
      expect([theirs.status, theirs.body['code']], `${method} ${template}`).toEqual([
        404,
        'not_found',
      ])
      const unknown = await stack.ask(method, nobody(template), { body: bodies[operationId] })
      expect([unknown.status, unknown.body], `${method} ${template}, of nobody`).toEqual([
        404,
        theirs.body,
      ])
    }
  })

  it('gets their own where nobody is named', async () => {
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
})

describe('the limit', () => {
  it('is told on every answer to a key, and described', async () => {
    const names = ['limit', 'remaining', 'reset'].map(
      (name) => `RateLimit-${name[0]!.toUpperCase()}${name.slice(1)}`,
    )
    for (const { method, template, operationId, responses } of operations().filter(({ template }) =>
      template.startsWith('/api'),
    )) {
      const stop = new AbortController()
      const answer = await fetch(stack.gatewayUrl + own(template), {
        method,
        redirect: 'manual',
        signal: stop.signal,
        headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
        ...(method === 'GET' ? {} : { body: JSON.stringify(bodies[operationId] ?? null) }),
      })
      for (const name of names)
        expect(
          answer.headers.get(name),
          `${name} of ${method} ${template}, ${answer.status}`,
        ).toMatch(/^\d+$/)
      stop.abort()
      const good = Object.entries(responses).filter(([status]) => /^[23]/.test(status))
      for (const [status, { headers }] of good)
        expect(Object.keys(headers ?? {}), `${method} ${template} ${status}`).toEqual(
          expect.arrayContaining(names),
        )
    }
  })
})

it('refuses a route that does not say who may use it, or is not described', async () => {
  const app = createApp(createLogger('test', 'silent'))
  await registerProtection(app, {} as Auth, readConfig(gatewaySettings, stack.env))
  expect(() => app.get('/api/open', () => '')).toThrow('config.access')
  expect(() => app.get('/api/hidden', { config: { access: { scope: 'read' } } }, () => '')).toThrow(
    'not described',
  )
  expect(() =>
    app.get(
      '/api/hidden',
      { config: { access: { scope: 'read' } }, schema: { hide: true, operationId: 'x' } },
      () => '',
    ),
  ).toThrow('not described')
  await app.close()
})
