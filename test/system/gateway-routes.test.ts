/**
 * Every route that is described: that it is what was promised, and that each of its answers says
 * what is left of the limit.
 */
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '#libs/runtime/logger.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import type { Context } from '#services/gateway/context.ts'
import { gatewaySettings } from '#services/gateway/config.ts'
import { registerProtection } from '#services/gateway/plugins/protection.ts'
import { createApp } from '#services/gateway/server.ts'
import { Stack } from '../support/gateway-kit.ts'
import { bodies, fill, operationsOf } from '../support/operations.ts'

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

const own = (template: string) =>
  fill(template, {
    ...stack.demo,
    sceneId: stack.demo.sceneIds[0]!,
    videoId,
    keyId,
    bulkId: videoId,
  })

it('has for every body an example that is taken, and says which may be left out', () => {
  const { paths, components } = stack.contract.document
  const optional: string[] = []
  for (const { operationId, requestBody } of Object.values(paths).flatMap(Object.values)) {
    const content = requestBody?.content['application/json']
    if (!content || String(operationId).startsWith('webhook')) continue
    if (!requestBody?.required) optional.push(String(operationId))
    const validate = new Ajv2020({ strict: false }).compile({ ...content.schema, components })
    expect(validate(content.example), `${operationId}: ${JSON.stringify(validate.errors)}`).toBe(
      true,
    )
  }
  expect(optional).toEqual(expect.arrayContaining(['generateVideo', 'cancelVideo', 'retryFailed']))
  expect(optional).not.toContain('createVideo')
})

const promised = `
    POST /api/projects/{projectId}/scripts/{scriptId}/scenes/{sceneId}/generate-video 202
    GET /api/scene-videos/{id} 200 | GET /api/scene-videos 200 | GET /api/scene-videos/{id}/timeline 200
    POST /api/scene-videos/{id}/cancel 202 | POST /api/scene-videos/{id}/retry 202 | POST /api/projects/{projectId}/retry-failed 200
    GET /api/scene-videos/{id}/file 302 | GET /api/scene-videos/{id}/events 200 | GET /api/events 200 | GET /api/ws 101
    GET /api/projects/{projectId} 200 | POST /api/projects 201 | POST /api/projects/{projectId}/scripts 201 | POST /api/projects/{projectId}/scripts/{scriptId}/scenes 201
    PUT /api/projects/{projectId}/ai-config 200 | PUT /api/me/ai-config 200 | GET /api/projects/{projectId}/ai-config 200
    POST /webhooks/{provider} 204 | POST /webhooks/{provider}/{id} 204
    GET /api/me 200 | GET /api/me/limits 200 | GET /api/projects 200 | GET /api/projects/{projectId}/scripts 200
    GET /api/projects/{projectId}/scripts/{scriptId}/scenes 200 | GET /api/projects/{projectId}/scripts/{scriptId} 200
    GET /api/projects/{projectId}/scripts/{scriptId}/scenes/{sceneId} 200 | PATCH /api/projects/{projectId} 200
    PATCH /api/projects/{projectId}/scripts/{scriptId} 200 | PATCH /api/projects/{projectId}/scripts/{scriptId}/scenes/{sceneId} 200
    POST /api/projects/{projectId}/archive 200 | POST /api/projects/{projectId}/restore 200 | DELETE /api/projects/{projectId} 204
    DELETE /api/scene-videos/{id} 204 | GET /api/models 200 | POST /api/videos 202 | POST /api/projects/{projectId}/scripts/{scriptId}/generate-videos 200
    GET /api/scene-videos/counts 200 | GET /api/stats 200 | GET /api/scene-videos/{id}/submissions 200
    POST /api/bulk-actions 200 | GET /api/bulk-actions/{id} 200 | GET /api/bulk-actions/{id}/results 200 | POST /api/bulk-actions/{id}/abort 202
    POST /api/stream-tokens 201 | GET /api/operator/videos 200 | GET /api/operator/stats 200 | GET /api/operator/pollers 200
    GET /api/operator/accounts 200 | GET /api/operator/circuits 200 | GET /api/operator/dead-letters 200 | GET /api/operator/activity 200 | GET /api/operator/events 200
    GET /livez 200 | GET /readyz 200 | GET /metrics 200 | GET /openapi.json 200 | GET /docs 200`
  .split(/[|\n]/)
  .map((line) => line.trim())
  .filter(Boolean)

describe('what was promised', () => {
  it('is described', () => {
    const described = operationsOf(stack).flatMap(({ template, method, responses }) =>
      Object.keys(responses).map((status) => `${method} ${template} ${status}`),
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
      'id sceneId scriptId projectId status phase progress waiting provider model prompt params metadata guarantee taskId videoUrl videoUrlExpiresAt file fileLoss usage cost error attempt version createdAt submittedAt startedAt completedAt updatedAt'.split(
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

describe('the limit', () => {
  it('is told on every answer to a key, and described', async () => {
    const names = ['limit', 'remaining', 'reset'].map(
      (name) => `RateLimit-${name[0]!.toUpperCase()}${name.slice(1)}`,
    )
    for (const { method, template, operationId, responses } of operationsOf(stack).filter(
      // those need a key of the operator's
      ({ template }) => template.startsWith('/api') && !template.startsWith('/api/operator'),
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
  await registerProtection(app, {} as Context, readConfig(gatewaySettings, stack.env))
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

const nobodys = '0197a000-0000-7000-8000-00000000dead'
it('needs its scope on every route, and tells its absence: 403 insufficient_scope', async () => {
  const keys = {
    read: await stack.keyWith(['write', 'admin']),
    write: await stack.keyWith(['read', 'configure']),
    configure: await stack.keyWith(['read', 'write']),
    admin: await stack.keyWith(['read', 'write', 'configure']),
    operator: await stack.keyWith(['read', 'write', 'configure', 'admin']),
  }
  const path = (template: string) =>
    template.replaceAll(/\{(projectId|scriptId|sceneId|id)\}/g, nobodys)
  for (const [template, methods] of Object.entries(stack.contract.document.paths).filter(
    ([template]) => template.startsWith('/api'),
  )) {
    // it says to every key what that key is
    if (template === '/api/me') continue
    for (const method of Object.keys(methods)) {
      const isConfig = template.includes('/ai-config') && method !== 'get'
      const scope = template.startsWith('/api/operator')
        ? 'operator'
        : template.startsWith('/api/api-keys')
          ? 'admin'
          : isConfig
            ? 'configure'
            : method === 'get' || template === '/api/stream-tokens'
              ? 'read'
              : 'write'
      const { status, body } = await stack.ask(method.toUpperCase(), path(template), {
        key: keys[scope],
      })
      expect([status, body['code']], `${method} ${template}`).toEqual([403, 'insufficient_scope'])
    }
  }
})
