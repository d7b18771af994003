/** Values made from a JSON schema: what fits it, what nearly does, and what does not at all. */
import fc from 'fast-check'

const nasty: unknown[] = [
  '\u0000',
  'a\u0000b',
  '\ud800',
  '',
  ' ',
  'x'.repeat(100_000),
  '\u202e../../etc',
  '99999999999999999999',
  '-1',
  '9007199254740993',
  '0000-00-00T00:00:00Z',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '+275760-09-13T00:00:00.000Z',
  -1,
  0,
  1.5,
  2 ** 31,
  2 ** 53,
  1e308,
  null,
  true,
  [],
  {},
  { '\u0000': '\u0000' },
  { __proto__: null, constructor: 1 },
  JSON.parse(`${'['.repeat(2_000)}${']'.repeat(2_000)}`),
]
/** Bodies that are no JSON of ours at all. */
export const raw: (string | Uint8Array)[] = [
  '',
  'null',
  '{',
  '[]',
  '"x"',
  '7',
  'x'.repeat(1_000_000),
  `"${'x'.repeat(1_000_000)}"`,
  '['.repeat(500_000),
  `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
  new Uint8Array([0xc3, 0x28, 0xff]),
  new Uint8Array(8),
  '\ufeff{}',
]

export interface JsonSchema {
  type?: string
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  additionalProperties?: JsonSchema | boolean
  anyOf?: JsonSchema[]
  oneOf?: JsonSchema[]
  enum?: unknown[]
  const?: unknown
  format?: string
  pattern?: string
  minimum?: number
  maximum?: number
  maxItems?: number
}

/** What fits a schema, any part of it replaced now and then by what is nasty. */
export function around(
  schema: JsonSchema,
  known: Record<string, string>,
  key = '',
): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 30, arbitrary: fits(schema, known, key) },
    { weight: 1, arbitrary: fc.constantFrom(...nasty) },
  )
}

function fits(
  schema: JsonSchema,
  known: Record<string, string>,
  key: string,
): fc.Arbitrary<unknown> {
  const inner = (one: JsonSchema, name = key) => around(one, known, name)
  if (known[key] !== undefined) return fc.constant(known[key])
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf ?? schema.oneOf)
    return fc.oneof(...(schema.anyOf ?? schema.oneOf)!.map((one) => inner(one)))
  if (schema.type === 'array')
    return fc.array(inner(schema.items ?? {}), { maxLength: Math.min(3, schema.maxItems ?? 3) })
  if (schema.type === 'object' && schema.properties)
    return fc.record(
      Object.fromEntries(
        Object.entries(schema.properties).map(([name, one]) => [name, inner(one, name)]),
      ),
      { requiredKeys: schema.required ?? [] },
    )
  if (schema.type === 'object')
    return fc.dictionary(
      fc.string(),
      fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constant(null)),
      { maxKeys: 3 },
    )
  if (schema.type === 'integer' || schema.type === 'number')
    return fc.integer({
      min: Math.max(schema.minimum ?? 0, -1e6),
      max: Math.min(schema.maximum ?? 1e6, 1e6),
    })
  if (schema.type === 'boolean') return fc.boolean()
  if (schema.type === 'null') return fc.constant(null)
  if (schema.format === 'uuid') return fc.uuid()
  if (schema.format === 'uri') return fc.webUrl()
  if (schema.format === 'date-time')
    return fc
      .date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true })
      .map((date) => date.toISOString())
  if (schema.pattern) return fc.stringMatching(new RegExp(schema.pattern))
  return fc.string({ unit: 'binary', minLength: 1, maxLength: 50 })
}
