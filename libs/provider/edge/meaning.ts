/**
 * What an answer means, by its dialect. The table of creates is here, once for all providers: what
 * is not accepted for sure is never called so, what may have been accepted is never called refused.
 */
import type { ErrorCode, VideoError } from '#libs/scene-video/scene-video.ts'
import { redact } from '#libs/net/redact.ts'
import type { CreateAnswer, TaskAnswer } from '../provider.ts'
import type { Dialect } from './dialect.ts'
import {
  at,
  firstText,
  idsOf,
  instantOf,
  linkOf,
  parseJson,
  progressOf,
  reasonOf,
} from './fields.ts'
import { dateOf, header, retryAfterMs } from './headers.ts'
import type { Headers } from './exchange.ts'

export interface Answer {
  status: number
  headers: Headers
  text: string
}

/** A body that is told of something unknown, as it is kept. */
export const excerpt = (text: string): string => redact(text, [], 1_000)

interface Said {
  /** In lower case; empty where there is none. */
  code: string
  message: string | null
}

/** Codes in an envelope that say that all is well. */
const wellCode = /^(0|2\d\d|success|ok)$/

function saidBy(dialect: Dialect, json: unknown): Said {
  const code = (firstText(json, dialect.error.code) ?? '').toLowerCase()
  return {
    code: wellCode.test(code) ? '' : code,
    message: reasonOf(json, dialect.error.message),
  }
}

const isLater = (dialect: Dialect, status: number, code: string) =>
  dialect.laterCodes.includes(code) || (status === 429 && dialect.codes[code] === undefined)

/** What of an answer without words of its own can be told: of HTML its text. */
const plain = (text: string) =>
  text
    .slice(0, 4_000)
    .replace(/<(script|style)[\s\S]*?<\/\1>/gi, ' ')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 300)

/** Never accepted: what the provider says of it, and the code that fits. */
function refusal(dialect: Dialect, { status, headers, text }: Answer, said: Said): VideoError {
  const byStatus = said.code || said.message ? dialect.statuses[status] : undefined
  const code: ErrorCode =
    dialect.codes[said.code] ?? byStatus ?? (status === 401 ? 'bad_key' : 'invalid_request')
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

/** An answer to a create. */
export function readCreate(dialect: Dialect, answer: Answer): CreateAnswer {
  const { status, headers, text } = answer
  const json = parseJson(text)
  const said = saidBy(dialect, json)
  if (status >= 200 && status < 300) {
    const taskId = idsOf(json, dialect.createdId)[0]
    if (taskId !== undefined) return { kind: 'accepted', taskId }
    if (said.code === '' && at(json, 'error').length === 0)
      return { kind: 'unreadable', reason: redact(`HTTP ${status}: ${plain(text)}`, [], 300) }
  }
  if (isLater(dialect, status, said.code))
    return {
      kind: 'later',
      retryAfterMs: retryAfterMs(headers),
      reason: redact(said.code || said.message || `HTTP ${status}`),
    }
  const isDoubtful = status >= 500 || status === 408 || status < 200
  if (isDoubtful || dialect.duplicateCodes?.includes(said.code))
    return { kind: 'unknown', reason: redact(`${status} ${said.code || plain(text)}`.trim()) }
  return { kind: 'refused', error: refusal(dialect, answer, said) }
}

/** Whom a query was about. */
export type Asked = { taskId: string } | { ownId: string }

/** An answer to a poll or a look-up. */
export function readTask(
  dialect: Dialect,
  answer: Answer,
  asked: Asked,
  baseUrl: string,
): { answer: TaskAnswer; taskId: string | null } {
  const { status, headers, text } = answer
  const json = parseJson(text)
  const isTask = firstText(json, dialect.task.status) !== null
  if (status >= 200 && status < 300 && isTask)
    return readTaskBody(dialect, json, { text, asked, baseUrl, date: dateOf(headers) })
  const said = saidBy(dialect, json)
  const of = (one: TaskAnswer) => ({ answer: one, taskId: null })
  // rule: absence is the provider’s own word
  if (dialect.missingCodes.includes(said.code)) return of({ kind: 'missing' })
  if (isLater(dialect, status, said.code))
    return of({ kind: 'later', retryAfterMs: retryAfterMs(headers) })
  if (status >= 200 && status < 300)
    return of(
      json === undefined
        ? { kind: 'none', reason: 'not JSON' }
        : { kind: 'unknown', body: excerpt(text) },
    )
  const location = header(headers, 'location')
  const detail = status < 400 && location ? `redirected to ${location}` : said.code
  return of({ kind: 'none', reason: redact(`${status} ${detail}`.trim(), [], 300) })
}

interface Circumstances {
  text: string
  asked: Asked
  baseUrl: string
  /** The provider's clock, Unix milliseconds; null where it tells none. */
  date: number | null
}

/** One task as JSON. */
export function readTaskBody(
  dialect: Dialect,
  json: unknown,
  about: Circumstances,
): { answer: TaskAnswer; taskId: string | null } {
  const { task } = dialect
  const ids = idsOf(json, task.id)
  const { asked } = about
  const ownIds = idsOf(json, task.ownId ?? [])
  // where a look-up told no id, the own id serves as the task's
  const isOther =
    'taskId' in asked
      ? ids.length > 0 && ![...ids, ...ownIds].includes(asked.taskId)
      : ownIds.some((own) => own !== asked.ownId)
  // rule: an answer is about what was asked
  if (isOther) return { answer: { kind: 'unknown', body: excerpt(about.text) }, taskId: null }
  const taskId = 'taskId' in asked ? asked.taskId : (ids[0] ?? asked.ownId)
  return { answer: meaningOf(dialect, json, about), taskId }
}

function meaningOf(dialect: Dialect, json: unknown, about: Circumstances): TaskAnswer {
  const { task } = dialect
  const word = (firstText(json, task.status) ?? '').toLowerCase()
  const meaning = Object.hasOwn(dialect.words, word) ? dialect.words[word] : undefined
  const failed = (code: ErrorCode, otherwise: string): TaskAnswer => {
    const said = (firstText(json, task.reasonCode ?? []) ?? '').toLowerCase()
    const reason = reasonOf(json, task.reason)
    const named = /^(0|success|ok|none)?$/.test(said) ? '' : ` (${said})`
    return {
      kind: 'failed',
      error: {
        code: dialect.codes[said] ?? code,
        message: redact(reason ?? `${otherwise}${named}`),
      },
    }
  }
  switch (meaning) {
    case 'queued':
    case 'running':
      return {
        kind: 'working',
        phase: meaning,
        progress: progressOf(json, task.progress ?? [], dialect.progressIn),
      }
    case 'done':
      return done(dialect, json, about)
    case 'failed':
      return failed('provider_failed', 'The provider failed it and gave no reason')
    case 'cancelled':
      return failed('cancelled', 'It was cancelled at the provider')
    case 'expired':
      return failed('timed_out', 'It expired at the provider')
    case 'removed':
      return failed('result_removed', 'It was done, and its result was removed at the provider')
    case undefined:
      return { kind: 'unknown', body: excerpt(about.text) }
  }
}

function done(dialect: Dialect, json: unknown, { text, baseUrl, date }: Circumstances): TaskAnswer {
  const { task } = dialect
  const videoUrl = linkOf(json, task.links, baseUrl)
  if (videoUrl === null)
    return {
      kind: 'unusable',
      error: {
        code: 'no_result',
        message: 'The provider calls it done, and gave no link to a file that could be fetched.',
      },
      body: excerpt(text),
    }
  const expires = instantOf(json, task.expiresAt ?? [])
  const completed = instantOf(json, task.completedAt ?? [])
  // not later than its completion: no expiry at all
  const isNone = expires === null || expires <= (completed ?? date ?? 0)
  if (isNone) return { kind: 'done', videoUrl, expiresAt: null }
  if (date !== null && expires <= date)
    return {
      kind: 'failed',
      error: {
        code: 'timed_out',
        message: 'It was done, but the provider’s link to it has expired.',
      },
    }
  return { kind: 'done', videoUrl, expiresAt: new Date(expires).toISOString() }
}
