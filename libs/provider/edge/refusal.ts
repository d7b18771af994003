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

/** Ours for a provider's code; the text beside it counts only where the dialect says so. */
export const codeOf = (dialect: Dialect, { code, message }: Said): ErrorCode | undefined =>
  dialect.codes[code] ?? dialect.codeOf?.(code, message ?? '')

export const isLater = (dialect: Dialect, status: number, said: Said) =>
  dialect.laterCodes.includes(said.code) || (status === 429 && codeOf(dialect, said) === undefined)

/** How long it asks to wait, in milliseconds; null where it does not say. */
export function waitOf(dialect: Dialect, { headers }: Answer, said: Said): number | null {
  const seconds = Number(dialect.laterSeconds?.exec(said.message ?? '')?.[1])
  return retryAfterMs(headers) ?? (seconds >= 0 ? Math.min(3_600, seconds) * 1_000 : null)
}

/** The provider's own "no such task". A bare status is a proxy's as well as the provider's. */
export const isMissing = (dialect: Dialect, status: number, said: Said): boolean =>
  // rule: absence is the provider’s own word
  dialect.missingCodes.includes(said.code) ||
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
