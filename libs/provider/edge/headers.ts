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

/** The first number that is said. */
function numberOf(...said: (string | undefined)[]): number | null {
  for (const one of said) {
    const digits = /^\s*(\d+(?:\.\d+)?)/.exec(one ?? '')?.[1]
    if (digits !== undefined) return Number(digits)
  }
  return null
}

/** Of a member such as `"default";r=50;t=30`. */
const parameter = (member: string | undefined, name: string): string | undefined =>
  new RegExp(`;\\s*${name}\\s*=\\s*(\\d+)`).exec(member ?? '')?.[1]

/** Seconds, or an instant in Unix seconds, as some tell it; at most an hour. */
function resetMsOf(said: number, headers: Headers): number {
  const now = said > 1e9 ? (dateOf(headers) ?? said * 1_000) : 0
  return Math.min(longestWaitMs, Math.max(0, said * 1_000 - now))
}

/**
 * The headers `x-ratelimit-…`, `ratelimit-…`, or the newer `ratelimit` and `ratelimit-policy`; null
 * where none says what is left. `limitPerMs`: over which time a plain limit counts, where known.
 */
export function rateLimitOf(headers: Headers, limitPerMs?: number): RateLimit | null {
  const of = (name: string) => header(headers, name)
  const now = of('ratelimit')
  const remaining = numberOf(
    parameter(now, 'r'),
    of('ratelimit-remaining'),
    of('x-ratelimit-remaining'),
  )
  if (remaining === null) return null
  const reset = numberOf(parameter(now, 't'), of('ratelimit-reset'), of('x-ratelimit-reset'))
  const policy = of('ratelimit-policy')
  const [, plain] = /(\d+)\s*;\s*w=/.exec(of('ratelimit-limit') ?? '') ?? []
  const quota = numberOf(parameter(policy, 'q'), plain)
  const seconds = numberOf(parameter(policy, 'w'), parameter(of('ratelimit-limit'), 'w'))
  const limit = numberOf(of('x-ratelimit-limit'))
  const perSecond =
    quota && seconds ? quota / seconds : limit && limitPerMs ? (limit * 1_000) / limitPerMs : null
  return { remaining, resetMs: resetMsOf(reset ?? 0, headers), perSecond }
}
