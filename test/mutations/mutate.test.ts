import { globSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { isMarked, mutate } from './mutate.ts'
import { mutations } from './table.ts'

const sources = ['libs', 'services']
  .flatMap((top) => globSync(`${top}/**/*.ts`))
  .filter((file) => !file.endsWith('.test.ts'))
  .map((file) => readFileSync(file, 'utf8'))

it.each(mutations)('can switch off: $rule', ({ rule, find, replace, also }) => {
  for (const edit of [
    { rule, find, replace },
    ...(also ? [{ rule: `${rule}, second`, ...also }] : []),
  ]) {
    const marked = sources.filter((text) => isMarked(text, edit.rule))
    expect(marked).toHaveLength(1)
    expect(mutate(marked[0]!, edit)).not.toBe(marked[0])
  }
})

it('has no mark without a mutation', () => {
  const marks = sources.flatMap((text) =>
    [...text.matchAll(/^\s*\/\/ rule: (.*)$/gm)].map((match) => match[1]),
  )
  const known = mutations.flatMap(({ rule, also }) => (also ? [rule, `${rule}, second`] : [rule]))
  expect(new Set(marks)).toEqual(new Set(known))
})

it('does not mind how the source is laid out', () => {
  const text = 'f(\n  // rule: one\n  g(\n    a,\n    b,\n  ),\n)'
  expect(mutate(text, { rule: 'one', find: 'g(a, b)', replace: 'h' })).toBe(
    'f(\n  // rule: one\n  h,\n)',
  )
  expect(() => mutate(text, { rule: 'two', find: 'g', replace: 'h' })).toThrow('0 times')
})
