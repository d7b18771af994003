/**
 * Every route asked with what its schema allows, with what it nearly allows, and with rubbish: no
 * 5xx but a deliberate 503, every answer as described. FUZZ_SEED repeats a run, FUZZ_RUNS makes it
 * longer.
 */
import fc from 'fast-check'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const runs = Number(process.env['FUZZ_RUNS'] ?? 25)
const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

interface Schema {
  $ref?: string
  type?: string
  enum?: unknown[]
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  items?: Schema
  format?: string
  minimum?: number
  maximum?: number
  additionalProperties?: Schema | boolean
  const?: unknown
}

const nasty = fc.constantFrom<unknown>(
  '',
  ' ',
  '\0',
  'a\0b',
  '\ud800',
  '\udc00x',
  '﷽'.repeat(2000),
  'x'.repeat(100_000),
  '../../etc/passwd',
  "'; DROP TABLE x; --",
  '${7*7}',
  '%00',
  '__proto__',
  'constructor',
  '0',
  '-1',
  '1e309',
  'NaN',
  'null',
  'true',
  '9999-99-99T99:99:99Z',
  '+275760-09-13T00:00:00.001Z',
  '0000-00-00',
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  'http://[',
  'https://\0',
  'javascript:alert(1)',
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  5e-324,
  [],
  {},
  [[]],
  { __proto__: null },
  { constructor: { prototype: 1 } },
  Array(5_000).fill(0),
  deep(500),
)
function deep(levels: number): unknown {
  return levels ? { a: deep(levels - 1) } : []
}

/** Values that fit the schema, roughly. */
function fitting(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.$ref)
    return fitting(
      (stack.contract.document.components.schemas as Record<string, Schema>)[
        schema.$ref.split('/').at(-1)!
      ]!,
    )
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(fitting))
  if (schema.type === 'object') {
    const known = Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, one]) => [name, mostly(fitting(one))]),
    )
    const extra =
      typeof schema.additionalProperties === 'object'
        ? fc.dictionary(
            fc.string({ unit: 'binary', maxLength: 10 }),
            fitting(schema.additionalProperties),
            { maxKeys: 3 },
          )
        : fc.constant({})
    return fc.tuple(fc.record(known, { requiredKeys: [] }), extra).map(([a, b]) => ({ ...b, ...a }))
  }
  if (schema.type === 'array') return fc.array(fitting(schema.items ?? {}), { maxLength: 4 })
  if (schema.type === 'integer' || schema.type === 'number')
    return fc.integer({
      min: Math.max(schema.minimum ?? -10, -(2 ** 31)),
      max: Math.min(schema.maximum ?? 1_000, 2 ** 31 - 1),
    })
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'null') return fc.constant(null)
  if (schema.format === 'uri') return fc.webUrl()
  if (schema.format === 'uuid') return fc.uuid()
  return fc.string({ unit: 'binary', maxLength: 40 })
}
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { weight: 6, arbitrary: good },
    { weight: 1, arbitrary: nasty },
    { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  )

const queryText = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    nasty.map((value) =>
      typeof value === 'string'
        ? value.slice(0, 3_000)
        : String(JSON.stringify(value)).slice(0, 200),
    ),
  )
  .map((text) => encodeURIComponent(text.toWellFormed()))
const raw = fc.oneof(
  queryText,
  fc.constantFrom(
    '%',
    '%zz',
    '%ff%fe',
    '%00',
    '..',
    '.',
    '%2e%2e',
    '%2f',
    'a'.repeat(300),
    '{id}',
    '*',
    ';a=b',
  ),
)
const body = (schema: Schema | undefined) =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: (schema ? mostly(fitting(schema)) : fc.jsonValue()).map((value) => ({
        type: 'application/json',
        data: Buffer.from(JSON.stringify(value) ?? ''),
      })),
    },
    {
      weight: 1,
      arbitrary: fc
        .uint8Array({ maxLength: 60 })
        .map((bytes) => ({ type: 'application/json', data: Buffer.from(bytes) })),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          '{"prompt": "\\ud800"}',
          '{"__proto__": {"a": 1}}',
          '{"title": "\\u0000"}',
          '[',
          '"',
          '{"a":1}{"b":2}',
          `${'['.repeat(20_000)}`,
          `{"prompt": "${'é'.repeat(200_000)}"}`,
          '1e999',
          '\ufeff{}',
        )
        .map((text) => ({ type: 'application/json', data: Buffer.from(text) })),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(
          'text/plain',
          'application/xml',
          'application/json; charset=utf-16',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=x',
          '',
          ';;;',
          'a/b/c',
        )
        .map((type) => ({ type, data: Buffer.from('a=b') })),
    },
  )

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
    content: body(operation.requestBody?.content['application/json']?.schema as Schema | undefined),
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
}, 120_000)

it.each([
  'GARBAGE\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  `GET /api/scene-videos HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`,
  'GET /api/\0 HTTP/1.1\r\nhost: x\r\n\r\n',
  'POST /api/projects HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
  `GET /${'a'.repeat(10_000)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
])('answers a broken request with a problem: %j', async (text) => {
  const { status, headers, body: problem } = await exchange(Buffer.from(text, 'latin1'))
  expect([status >= 400 && status < 500, headers.get('content-type')]).toEqual([
    true,
    expect.stringContaining('application/problem+json'),
  ])
  expect(JSON.parse(problem)).toMatchObject({ status, code: expect.any(String) })
})

interface Raw {
  status: number
  headers: Headers
  body: string
}

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
    Buffer.concat([
      Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
      data ?? Buffer.alloc(0),
    ]),
  )
}

/** One request on a connection of its own; of an event stream, what comes first. */
function exchange(request: Buffer): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(stack.gatewayUrl).port), '127.0.0.1')
    let text = ''
    const done = () => {
      socket.destroy()
      const [head = '', ...rest] = text.split('\r\n\r\n')
      const [first = '', ...lines] = head.split('\r\n')
      const headers = new Headers(lines.map((line) => line.split(/:\s*/, 2) as [string, string]))
      const body = rest.join('\r\n\r\n')
      resolve({
        status: Number(first.split(' ')[1]),
        headers,
        body: headers.get('transfer-encoding') === 'chunked' ? unchunk(body) : body,
      })
    }
    socket.on('data', (chunk) => {
      text += chunk.toString()
      if (text.includes('\r\nretry: ')) done()
    })
    socket.on('close', done)
    socket.on('error', (err: Error & { code?: string }) =>
      err.code === 'ECONNRESET' || err.code === 'EPIPE' ? undefined : reject(err),
    )
    socket.write(request)
  })
}

function unchunk(text: string): string {
  let out = ''
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, end), 16)
    if (!(size > 0)) return out
    out += text.slice(end + 2, end + 2 + size)
    at = end + 2 + size + 2
  }
}
