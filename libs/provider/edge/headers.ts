/** What headers of an answer say of waiting. Only the provider's own clock is compared with. */
import type { RateLimit } from '../provider.ts'
import type { Headers } from './exchange.ts'

/** However long a provider asks us to wait, it is asked again within the hour. */
const longestWaitMs = 3_600_000

export const header = (headers: Headers, name: string): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** The provider's clock, Unix milliseconds. */
export function dateOf(headers: Headers): number | null {
  const date = Date.parse(header(headers, 'date') ?? '')
  return Number.isNaN(date) ? null : date
}

const secondsToMs = (text: string | undefined): number | null => {
  const seconds = Number(text)
  return text !== undefined && text.trim() !== '' && Number.isFinite(seconds) && seconds >= 0
    ? Math.min(longestWaitMs, seconds * 1_000)
    : null
}

/** Retry-After in seconds or as a date, told against the answer's own Date; null if neither. */
export function retryAfterMs(headers: Headers): number | null {
  const text = header(headers, 'retry-after')
  if (text === undefined || !Number.isNaN(Number(text))) return secondsToMs(text)
  const until = Date.parse(text)
  const date = dateOf(headers)
  if (Number.isNaN(until) || date === null) return null
  return Math.min(longestWaitMs, Math.max(0, until - date))
}

export function rateLimitOf(headers: Headers): RateLimit | null {
  const said = header(headers, 'x-ratelimit-remaining')
  const remaining = Number(said)
  if (said === undefined || said.trim() === '' || !Number.isFinite(remaining)) return null
  return { remaining, resetMs: secondsToMs(header(headers, 'x-ratelimit-reset')) ?? 0 }
}
