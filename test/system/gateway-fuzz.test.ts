/**
 * Every route asked with what its schema allows, with what it nearly allows, and with rubbish: no
 * 5xx but a deliberate 503, every answer as described. FUZZ_SEED repeats a run, FUZZ_RUNS makes it
 * longer.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { body, queryText, raw, type Schema } from '../support/odd-requests.ts'
import { exchange, type Raw } from '../support/raw-http.ts'
import { until } from '../support/system.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const runs = Number(process.env['FUZZ_RUNS'] ?? 25)
const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

interface Case {
  path: string
  query: string
  content: { type: string; data: Buffer }
  headers: Record<string, string>
}

function casesOf(
  template: string,
  operation: {
    parameters?: { in: string; name: string; schema: object }[]
    requestBody?: { content: Record<string, { schema: object }> }
  },
): fc.Arbitrary<Case> {
  const { projectId, scriptId, sceneIds } = stack.demo
  const real: Record<string, string> = { projectId, scriptId, sceneId: sceneIds[0]!, id: videoId }
  const part = (name: string) =>
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(real[name] ?? 'toapis') },
      { weight: 2, arbitrary: raw },
      { weight: 1, arbitrary: fc.uuid() },
    )
  const names = [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!)
  const path = fc
    .tuple(...names.map(part))
    .map((parts) =>
      names.reduce((text, name, i) => text.replace(`{${name}}`, () => parts[i]!), template),
    )
  const asked = (operation.parameters ?? [])
    .filter((one) => one.in === 'query')
    .map((one) => one.name)
  const query = fc
    .array(fc.tuple(fc.oneof(fc.constantFrom(...asked, 'x', '__proto__', 'a[]'), queryText), raw), {
      maxLength: 3,
    })
    .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'))
  const headers = fc.dictionary(
    fc.constantFrom(
      'idempotency-key',
      'last-event-id',
      'accept',
      'range',
      'x-http-method-override',
      'origin',
      'if-none-match',
    ),
    fc
      .oneof(
        fc.string({ maxLength: 300 }),
        fc.constantFrom('"', '""', '1-1', '1-999999999999999', '-', 'é'),
      )
      .map((text) => text.replaceAll(/[^\x20-\x7e\xa0-\xff]/g, '')),
    { maxKeys: 2 },
  )
  return fc.record({
    path,
    query,
    content: body(
      operation.requestBody?.content['application/json']?.schema as Schema | undefined,
      stack.contract.document.components.schemas as Record<string, Schema>,
    ),
    headers,
  })
}

let videoId = ''
it(`answers everything as described, seed ${seed}`, async () => {
  videoId = String(
    await until(
      'a video',
      async () => (await stack.ask('POST', `${stack.scenePath}/generate-video`)).body['id'],
    ),
  )
  for (const [template, methods] of Object.entries(stack.contract.document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.servers) continue // of another port
      await fc.assert(
        fc.asyncProperty(
          casesOf(template, operation),
          async ({ path, query, content, headers }) => {
            const hasBody = method !== 'get'
            const answer = await send(
              method.toUpperCase(),
              query ? `${path}?${query}` : path,
              { ...headers, ...(hasBody && content.type ? { 'content-type': content.type } : {}) },
              hasBody ? content.data : null,
            )
            judge(method, path, answer)
          },
        ),
        { seed, numRuns: runs, endOnFailure: true },
      )
    }
  }
  expect((await fetch(`${stack.gatewayUrl}/livez`)).status).toBe(200)
  expect(stack.contract.seen.size).toBeGreaterThan(40)
})

it.each([
  'GARBAGE\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  `GET /api/scene-videos HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`,
  'GET /api/\0 HTTP/1.1\r\nhost: x\r\n\r\n',
  'POST /api/projects HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
  `GET /${'a'.repeat(10_000)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
])('answers a broken request with a problem: %j', async (text) => {
  const {
    status,
    headers,
    body: problem,
  } = await exchange(stack.gatewayUrl, Buffer.from(text, 'latin1'))
  expect([status >= 400 && status < 500, headers.get('content-type')]).toEqual([
    true,
    expect.stringContaining('application/problem+json'),
  ])
  expect(JSON.parse(problem)).toMatchObject({ status, code: expect.any(String) })
})

function judge(method: string, path: string, { status, headers, body: text }: Raw): void {
  if (status === 503 || status >= 500)
    expect([status, text]).toEqual([503, expect.stringContaining('"code":"not_ready"')])
  if (headers.get('content-type')?.startsWith('text/event-stream')) return
  // What was not understood as a path of ours is answered as a problem.
  const isOdd = /[%;*{]|\.\.|\/\.(\/|$)|\/\/|\/$/.test(path)
  if (isOdd && status >= 400)
    expect(headers.get('content-type')).toContain('application/problem+json')
  else stack.contract.check(method.toUpperCase(), path, status, headers, text)
}

/** As written, byte for byte: no client library puts it right first. */
function send(
  method: string,
  target: string,
  headers: Record<string, string>,
  data: Buffer | null,
): Promise<Raw> {
  const lines = [
    `${method} ${target.replaceAll(/[^\x21-\xff]/g, '')} HTTP/1.1`,
    'host: gateway',
    'connection: close',
    `authorization: Bearer ${stack.apiKey}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  if (data) lines.push(`content-length: ${data.length}`)
  return exchange(
    stack.gatewayUrl,
    Buffer.concat([
      Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
      data ?? Buffer.alloc(0),
    ]),
  )
}
