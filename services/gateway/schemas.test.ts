import { expect, it } from 'vitest'
import { pageQuery } from './schemas.ts'

it('takes a limit as digits, and nothing else that JavaScript reads as a number', () => {
  const { limit } = pageQuery
  expect([limit.parse(undefined), limit.parse('5'), limit.parse('100')]).toEqual([20, 5, 100])
  for (const text of [
    '',
    '0',
    '101',
    '-5',
    '+5',
    ' 5',
    '5 ',
    '5.0',
    '1e1',
    '0x10',
    '٥',
    'Infinity',
    '9'.repeat(30),
    ['5', '6'],
  ])
    expect(limit.safeParse(text).success, String(text)).toBe(false)
})
