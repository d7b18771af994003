/** What an answer says of a refusal: its code, its text, and which of our codes that is. */
import type { ErrorCode, VideoError } from '#libs/scene-video/scene-video.ts'
import { redact } from '#libs/net/redact.ts'
import type { Dialect } from './dialect.ts'
import { firstText, reasonOf } from './fields.ts'
import { header, retryAfterMs } from './headers.ts'
import type { Headers } from './exchange.ts'

export interface Answer {
  status: number
  headers: Headers
  text: string
}

/** A body that is told of something unknown, as it is kept. */
export const excerpt = (text: string): string => redact(text, [], 1_000)

export interface Said {
  /** In lower case; empty where there is none. */
  code: string
  message: string | null
}

/** Codes in an envelope that say that all is well. */
const wellCode = /^(0|2\d\d|success|ok)$/

export function saidBy(dialect: Dialect, json: unknown): Said {
  const code = (firstText(json, dialect.error.code) ?? '').toLowerCase()
  return {
    code: wellCode.test(code) ? '' : code,
    message: reasonOf(json, dialect.error.message),
  }
}

/** A code and those it belongs to: `a.b.c`, `a.b`, `a`. */
const familyOf = (code: string): string[] =>
  code.split('.').map((_, i, parts) => parts.slice(0, parts.length - i).join('.'))

/** How near a code is to one that is listed, 0 the nearest; infinite where it is none of them. */
function nearness(code: string, isListed: (one: string) => boolean): number {
  const near = familyOf(code).findIndex(isListed)
  return code === '' || near < 0 ? Infinity : near
}

export const isListed = (codes: readonly string[] | undefined, code: string): boolean =>
  nearness(code, (one) => codes?.includes(one) === true) < Infinity

/** Ours for a provider's code; the text beside it counts only where the dialect says so. */
export function codeOf(dialect: Dialect, { code, message }: Said): ErrorCode | undefined {
  const known = familyOf(code).find((one) => dialect.codes[one] !== undefined)
  const exact = dialect.codes[code] ?? dialect.codeOf?.(code, message ?? '')
  return exact ?? (known === undefined ? undefined : dialect.codes[known])
}

/** The nearest listed code counts: `a.b` may be a refusal where `a` asks to wait. */
export function isLater(dialect: Dialect, status: number, said: Said): boolean {
  const asLater = nearness(said.code, (one) => dialect.laterCodes.includes(one))
  const asRefusal = nearness(said.code, (one) => dialect.codes[one] !== undefined)
  if (asLater < Infinity) return asLater <= asRefusal
  return status === 429 && codeOf(dialect, said) === undefined
}

/** How long it asks to wait, in milliseconds; null where it does not say. */
export function waitOf(dialect: Dialect, { headers }: Answer, said: Said): number | null {
  const seconds = Number(dialect.laterSeconds?.exec(said.message ?? '')?.[1])
  return retryAfterMs(headers) ?? (seconds >= 0 ? Math.min(3_600, seconds) * 1_000 : null)
}

/** The provider's own "no such task". A bare status is a proxy's as well as the provider's. */
export const isMissing = (dialect: Dialect, status: number, said: Said): boolean =>
  // rule: absence is the provider’s own word
  isListed(dialect.missingCodes, said.code) ||
  (status === dialect.missingStatus && (said.code !== '' || said.message !== null))

/** What of an answer without words of its own can be told: of HTML its text. */
export const plain = (text: string) =>
  text
    .slice(0, 4_000)
    .replace(/<(script|style)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 300)

/** Never accepted: what the provider says of it, and the code that fits. */
export function refusal(
  dialect: Dialect,
  { status, headers, text }: Answer,
  said: Said,
): VideoError {
  const byStatus = said.code || said.message ? dialect.statuses[status] : undefined
  const code: ErrorCode =
    codeOf(dialect, said) ?? byStatus ?? (status === 401 ? 'bad_key' : 'invalid_request')
  const location = header(headers, 'location')
  if (status >= 300 && status < 400)
    return {
      code: 'invalid_request',
      message: redact(
        `The provider’s address redirects (HTTP ${status}) to ${location ?? 'nowhere'}; nothing was accepted. Give the address it points to.`,
      ),
    }
  const message = said.message ?? said.code
  return { code, message: redact(message || `HTTP ${status}. ${plain(text)}`.trim()) }
}
