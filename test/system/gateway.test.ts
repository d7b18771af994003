/**
 * The gateway over real HTTP: its document, idempotency, lists. Every answer is held against the
 * OpenAPI document.
 */
import SwaggerParser from '@apidevtools/swagger-parser'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(async () => {
  await stack.start()
  await stack.simulate({ minSeconds: 1, maxSeconds: 1, tier: 'off' })
})
afterAll(() => stack[Symbol.asyncDispose]())

const generate = (body?: unknown, headers: Record<string, string> = {}, key?: string) =>
  stack.ask('POST', `${stack.scenePath}/generate-video`, { body, headers, ...(key ? { key } : {}) })
const idOf = (answer: { body: Record<string, unknown> }) => String(answer.body['id'])
/** What is sent meanwhile, the provider refuses: its key is none. */
async function withBadKey(act: () => Promise<void>): Promise<void> {
  const body = { provider: 'toapis', apiKey: 'not-a-key-of-theirs' }
  await stack.ask('PUT', '/api/me/ai-config', { body })
  await act().finally(() => stack.ask('DELETE', '/api/me/ai-config'))
}
const untilFailed = (id: string) =>
  until(
    'the video to fail',
    async () =>
      (await stack.ask('GET', `/api/scene-videos/${id}`)).body['status'] === 'failed' || undefined,
  )
async function failedVideo(): Promise<string> {
  const id = idOf(await generate({ prompt: 'x' }))
  await untilFailed(id)
  return id
}

describe('the document', () => {
  it('is valid OpenAPI 3.1 and describes every route with its problems', async () => {
    const document = structuredClone(stack.contract.document)
    await SwaggerParser.validate(document as never)
    const findings = (
      await lintFromString({
        source: JSON.stringify(stack.contract.document),
        config: await createConfig({ extends: ['recommended'] }),
      })
    ).map(({ ruleId, location }) => `${ruleId} ${location[0]?.pointer}`)
    expect(
      findings.toSorted(),
      'an upgrade, and metrics without a refusal, are as they should be',
    ).toEqual([
      'operation-2xx-response #/paths/~1api~1ws/get/responses',
      'operation-4xx-response #/paths/~1metrics/get/responses',
    ])
    expect(document.openapi).toMatch(/^3\.1/)
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
    )
    expect(new Set(operations.map((one) => one.operationId)).size).toBe(operations.length)
    for (const { path, responses } of operations.filter((one) => !one.servers)) {
      expect(Object.keys(responses), path).toEqual(expect.arrayContaining(['500', '503']))
      if (path.startsWith('/api'))
        expect(Object.keys(responses), path).toEqual(
          expect.arrayContaining(['400', '401', '403', '429']),
        )
    }
  })

  it('is shown at /docs with a policy that lets it work, and everything else with one that lets nothing', async () => {
    const docs = await fetch(`${stack.gatewayUrl}/docs/`)
    expect([docs.status, docs.headers.get('content-security-policy')]).toEqual([
      200,
      expect.stringContaining("script-src 'self'"),
    ])
    const { headers } = await stack.ask('GET', '/api/scene-videos')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  })
})

describe('Idempotency-Key', () => {
  it('answers the same body with the same video as it is now, another body with 422', async () => {
    const first = await generate(
      { prompt: 'once', metadata: { a: 1, b: 2 } },
      { 'idempotency-key': '"i1"' },
    )
    await until(
      'the video to be submitted',
      async () =>
        Number((await stack.ask('GET', `/api/scene-videos/${idOf(first)}`)).body['version']) > 1 ||
        undefined,
    )
    const again = await generate(
      { metadata: { b: 2, a: 1 }, prompt: 'once' },
      { 'idempotency-key': 'i1' },
    )
    expect([again.status, idOf(again), Number(again.body['version']) > 1]).toEqual([
      202,
      idOf(first),
      true,
    ])
    const other = await generate({ prompt: 'twice' }, { 'idempotency-key': 'i1' })
    expect([other.status, other.body['code']]).toEqual([422, 'idempotency_key_reused'])
  })

  it('answers 409 while the first one is running, and the same video afterwards', async () => {
    const client = new pg.Client(stack.databaseUrl)
    await client.connect()
    try {
      await client.query('BEGIN')
      await client.query(
        `INSERT INTO "IdempotencyKey" ("userId", key, route, "bodyHash", "resultId") VALUES ($1, 'i2', 'generate-video', '', $1)`,
        [stack.demo.userId],
      )
      const second = await generate({ prompt: 'slow' }, { 'idempotency-key': 'i2' })
      expect([second.status, second.body['code']]).toEqual([409, 'idempotency_key_in_use'])
      await client.query('ROLLBACK')
      const first = await generate({ prompt: 'slow' }, { 'idempotency-key': 'i2' })
      expect(first.status).toBe(202)
      expect(idOf(await generate({ prompt: 'slow' }, { 'idempotency-key': 'i2' }))).toBe(
        idOf(first),
      )
    } finally {
      await client.end()
    }
  })
})

describe('Idempotency-Key of more than a video', () => {
  it('makes projects, scripts and scenes once', async () => {
    for (const [path, body] of [
      ['/api/projects', { title: 'p' }],
      [`/api/projects/${stack.demo.projectId}/scripts`, { title: 's' }],
      [stack.scenePath.replace(/\/[^/]+$/, ''), { prompt: 'c' }],
    ] as const) {
      const headers = { 'idempotency-key': 'same for all: per route' }
      const [first, again, other] = [
        await stack.ask('POST', path, { body, headers }),
        await stack.ask('POST', path, { body, headers }),
        await stack.ask('POST', path, { body: { ...body, title: 'other' }, headers }),
      ]
      expect([first.status, again.status, other.status]).toEqual([201, 201, 422])
      expect(again.body).toEqual(first.body)
    }
  })

  it('retries once, one video and all of a project', () =>
    withBadKey(async () => {
      const id = await failedVideo()
      const headers = { 'idempotency-key': 'r1' }
      const retried = await stack.ask('POST', `/api/scene-videos/${id}/retry`, {
        body: { attempt: 1 },
        headers,
      })
      expect([retried.status, retried.body['attempt']]).toEqual([202, 2])
      expect(
        (
          await stack.ask('POST', `/api/scene-videos/${id}/retry`, {
            body: { attempt: 1 },
            headers,
          })
        ).body['attempt'],
      ).toBe(2)
      await untilFailed(id)
      expect(
        (await stack.ask('POST', `/api/scene-videos/${id}/retry`, { body: { attempt: 1 } })).body[
          'code'
        ],
      ).toBe('not_current_attempt')
      const path = `/api/projects/${stack.demo.projectId}/retry-failed`
      const all = await stack.ask('POST', path, { headers })
      const ids = ((all.body['data'] as { id: string }[] | undefined) ?? []).map(
        (video) => video.id,
      )
      expect([all.status, ids]).toEqual([202, expect.arrayContaining([id])])
      await untilFailed(id)
      const again = await stack.ask('POST', path, { headers })
      expect(
        ((again.body['data'] as { id: string; attempt: number }[] | undefined) ?? []).find(
          (video) => video.id === id,
        )?.attempt,
      ).toBe(3)
    }))
})

describe('lists and the project', () => {
  it('pages through everything once, newest first', async () => {
    for (let i = 0; i < 5; i++) await generate({ prompt: `page ${i}` })
    const seen: string[] = []
    for (let after = ''; ;) {
      const { body } = await stack.ask(
        'GET',
        `/api/scene-videos?limit=2${after && `&after=${after}`}`,
      )
      seen.push(...(body['data'] as unknown as { id: string }[]).map((video) => video.id))
      if (!body['hasMore']) break
      after = String(body['next'])
    }
    expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => (a < b ? 1 : -1)))
    const { body } = await stack.ask('GET', `/api/projects/${stack.demo.projectId}`)
    expect(
      Object.values(body['counts'] as unknown as Record<string, number>).reduce((a, b) => a + b),
    ).toBe(seen.length)
    for (const query of [
      'limit=0',
      'limit=101',
      'limit=x',
      'status=done',
      'after=x',
      'projectId=1',
    ])
      expect((await stack.ask('GET', `/api/scene-videos?${query}`)).status).toBe(400)
  })

  it('cancels what has not ended, and says why it cannot', () =>
    withBadKey(async () => {
      const id = await failedVideo()
      const { status, body } = await stack.ask('POST', `/api/scene-videos/${id}/cancel`)
      expect([status, body['code']]).toEqual([409, 'already_terminal'])
      expect((await stack.ask('GET', `/api/scene-videos/${id}/file`)).body['code']).toBe(
        'not_stored',
      )
      const timeline = (await stack.ask('GET', `/api/scene-videos/${id}/timeline`)).body[
        'data'
      ] as unknown as { kind: string }[]
      expect(timeline.map((one) => one.kind)).toEqual(['requested', 'failed'])
    }))
})
