/** Bodies, queries and parts of paths that fit a route's schema, nearly fit it, or are rubbish. */
import fc from 'fast-check'

export interface Schema {
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

/** What `$ref` may name. */
type Named = Record<string, Schema>

/** Values that fit the schema, roughly. */
function fitting(schema: Schema, named: Named): fc.Arbitrary<unknown> {
  const inner = (one: Schema) => fitting(one, named)
  if (schema.$ref) return inner(named[schema.$ref.split('/').at(-1)!]!)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(inner))
  if (schema.type === 'object') {
    const known = Object.fromEntries(
      Object.entries(schema.properties ?? {}).map(([name, one]) => [name, mostly(inner(one))]),
    )
    const extra =
      typeof schema.additionalProperties === 'object'
        ? fc.dictionary(
            fc.string({ unit: 'binary', maxLength: 10 }),
            inner(schema.additionalProperties),
            { maxKeys: 3 },
          )
        : fc.constant({})
    return fc.tuple(fc.record(known, { requiredKeys: [] }), extra).map(([a, b]) => ({ ...b, ...a }))
  }
  if (schema.type === 'array') return fc.array(inner(schema.items ?? {}), { maxLength: 4 })
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

export const queryText = fc
  .oneof(
    fc.string({ unit: 'binary', maxLength: 30 }),
    nasty.map((value) =>
      typeof value === 'string'
        ? value.slice(0, 3_000)
        : String(JSON.stringify(value)).slice(0, 200),
    ),
  )
  .map((text) => encodeURIComponent(text.toWellFormed()))
/** A part of a path, or a value in a query. */
export const raw = fc.oneof(
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
/** With its content type. */
export const body = (schema: Schema | undefined, named: Named) =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: (schema ? mostly(fitting(schema, named)) : fc.jsonValue()).map((value) => ({
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
