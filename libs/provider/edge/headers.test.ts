import { expect, it } from 'vitest'
import { rateLimitOf } from './headers.ts'

const date = 'Fri, 27 Nov 2026 07:00:00 GMT'
const unix = Date.parse(date) / 1_000
const minute = 60_000

it.each([
  [{}, null],
  [{ 'x-ratelimit-remaining': 'many' }, null],
  [{ 'x-ratelimit-remaining': '7' }, { remaining: 7, resetMs: 0, perSecond: null }],
  [
    { 'x-ratelimit-limit': '3000', 'x-ratelimit-remaining': '7', 'x-ratelimit-reset': '12' },
    { remaining: 7, resetMs: 12_000, perSecond: 50 },
  ],
  [
    { 'ratelimit-limit': '100, 100;w=10', 'ratelimit-remaining': '99', 'ratelimit-reset': '4' },
    { remaining: 99, resetMs: 4_000, perSecond: 10 },
  ],
  [
    { 'ratelimit-policy': '"default";q=120;w=60', ratelimit: '"default";r=3;t=20' },
    { remaining: 3, resetMs: 20_000, perSecond: 2 },
  ],
  [
    { date, 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(unix + 30) },
    { remaining: 0, resetMs: 30_000, perSecond: null },
  ],
  [
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(unix) },
    { remaining: 0, resetMs: 0, perSecond: null },
  ],
  [
    { 'x-ratelimit-limit': '0', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '999999' },
    { remaining: 0, resetMs: 3_600_000, perSecond: null },
  ],
])('reads what is left, until when, and of how much: %j', (headers, limit) => {
  expect(rateLimitOf(headers, minute)).toEqual(limit)
})

it('does not guess over which time a plain number counts', () => {
  const headers = { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '1' }
  expect(rateLimitOf(headers)).toEqual({ remaining: 1, resetMs: 0, perSecond: null })
})
