/**
 * What an answer means, by its dialect. The table of creates is here, once for all providers: what
 * is not accepted for sure is never called so, what may have been accepted is never called refused.
 */
import type { ErrorCode } from '#libs/scene-video/scene-video.ts'
import { redact } from '#libs/net/redact.ts'
import type { CreateAnswer, CreateRequest, TaskAnswer } from '../provider.ts'
import type { Dialect } from './dialect.ts'
import {
  at,
  firstText,
  hasId,
  idsOf,
  instantOf,
  isKeepable,
  linkOf,
  parseJson,
  progressOf,
  reasonOf,
} from './fields.ts'
import { dateOf, header } from './headers.ts'
import {
  codeOf,
  excerpt,
  isLater,
  isListed,
  isMissing,
  plain,
  refusal,
  saidBy,
  waitOf,
  type Answer,
} from './refusal.ts'

/** Of a status word that we do not know, as it is told. */
const longestWord = 80

/** The task's handle in an answer to a create. */
function handleOf(
  dialect: Dialect,
  { json, text }: { json: unknown; text: string },
  request: CreateRequest,
): string | undefined {
  if (!dialect.handle) return idsOf(json, dialect.createdId)[0]
  const handle = dialect.handle(json, request, text) ?? ''
  return isKeepable(handle) ? handle : undefined
}

/** An answer to a create. */
export function readCreate(dialect: Dialect, answer: Answer, request: CreateRequest): CreateAnswer {
  const { status, text } = answer
  const json = parseJson(text)
  const said = saidBy(dialect, json)
  if (status >= 200 && status < 300) {
    const taskId = handleOf(dialect, { json, text }, request)
    if (taskId !== undefined) return { kind: 'accepted', taskId }
    if (said.code === '' && at(json, 'error').length === 0)
      return { kind: 'unreadable', reason: redact(`HTTP ${status}: ${plain(text)}`, [], 300) }
  }
  const isDuplicate =
    isListed(dialect.duplicateCodes, said.code) || dialect.duplicateText?.test(said.message ?? '')
  if (!isDuplicate && isLater(dialect, status, said))
    return {
      kind: 'later',
      retryAfterMs: waitOf(dialect, answer, said),
      reason: redact(said.code || said.message || `HTTP ${status}`),
      ...(status === 429 ? { isOverLimit: true } : {}),
    }
  const isDoubtful =
    status >= 500 || status === 408 || status < 200 || isListed(dialect.faultCodes, said.code)
  if (isDoubtful || isDuplicate)
    return { kind: 'unknown', reason: redact(`${status} ${said.code || plain(text)}`.trim()) }
  return { kind: 'refused', error: refusal(dialect, answer, said) }
}

const unknown = (said: string, text: string): TaskAnswer => ({
  kind: 'unknown',
  said: redact(said, [], longestWord),
  body: excerpt(text),
})

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
  const isTask = wordOf(dialect, json, status) !== null
  if (status >= 200 && status < 300 && isTask)
    return readTaskBody(dialect, json, {
      textOf: () => text,
      asked,
      baseUrl,
      status,
      date: dateOf(headers),
    })
  const said = saidBy(dialect, json)
  const of = (one: TaskAnswer) => ({ answer: one, taskId: null })
  if (isMissing(dialect, status, said)) return of({ kind: 'missing' })
  if (isLater(dialect, status, said))
    return of({ kind: 'later', retryAfterMs: waitOf(dialect, answer, said) })
  if (status >= 200 && status < 300 && said.code === '')
    return of(
      json === undefined ? { kind: 'none', reason: 'not JSON' } : unknown('no status', text),
    )
  const location = header(headers, 'location')
  const detail = status < 400 && location ? `redirected to ${location}` : said.code
  return of({ kind: 'none', reason: redact(`${status} ${detail}`.trim(), [], 300) })
}

interface Circumstances {
  /** The task as it was told; asked for only where that is shown to somebody. */
  textOf(): string
  asked: Asked
  baseUrl: string
  status: number
  /** The provider's clock, Unix milliseconds; null where it tells none. */
  date: number | null
}

const wordOf = ({ task }: Dialect, json: unknown, status: number): string | null =>
  task.word ? task.word(json, status) : firstText(json, task.status)

/** One task as JSON. */
export function readTaskBody(
  dialect: Dialect,
  json: unknown,
  about: Circumstances,
): { answer: TaskAnswer; taskId: string | null } {
  const { task } = dialect
  const { asked } = about
  const isOther =
    'taskId' in asked
      ? isAnother(dialect, json, idIn(dialect, asked.taskId))
      : idsOf(json, task.ownId ?? []).some((own) => own !== asked.ownId)
  // rule: an answer is about what was asked
  if (isOther)
    return { answer: unknown('an answer about another task', about.textOf()), taskId: null }
  // where a look-up told no id, the own id serves as the task's
  const taskId = 'taskId' in asked ? asked.taskId : (idsOf(json, task.id)[0] ?? asked.ownId)
  return { answer: meaningOf(dialect, json, about), taskId }
}

/** It tells a task's id, and nowhere this one. */
const isAnother = ({ task }: Dialect, json: unknown, id: string): boolean =>
  !hasId(json, task.id, id) && !hasId(json, task.ownId ?? [], id) && idsOf(json, task.id).length > 0

/** The id in a handle. */
const idIn = ({ idOf }: Dialect, handle: string) => (idOf ? idOf(handle) : handle)

function meaningOf(dialect: Dialect, json: unknown, about: Circumstances): TaskAnswer {
  const { task } = dialect
  const word = (wordOf(dialect, json, about.status) ?? '').trim().toLowerCase()
  const meaning = Object.hasOwn(dialect.words, word) ? dialect.words[word] : undefined
  const failed = (code: ErrorCode, otherwise: string): TaskAnswer => {
    const said = (firstText(json, task.reasonCode ?? []) ?? '').toLowerCase()
    const reason = reasonOf(json, task.reason)
    const named = /^(0|success|ok|none)?$/.test(said) ? '' : ` (${said})`
    return {
      kind: 'failed',
      error: {
        code: codeOf(dialect, { code: said, message: reason }) ?? code,
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
    case 'blocked':
      return failed('content_policy', 'The provider’s policy held the result back')
    case 'cancelled':
      return failed('cancelled', 'It was cancelled at the provider')
    case 'expired':
      return failed('timed_out', 'It expired at the provider')
    case 'removed':
      return failed('result_removed', 'It was done, and its result was removed at the provider')
    case 'missing':
      return { kind: 'missing' }
    case undefined:
      return unknown(word, about.textOf())
  }
}

/** Done, and nothing to fetch. */
const withoutLink = (text: string): TaskAnswer => ({
  kind: 'unusable',
  error: {
    code: 'no_result',
    message: 'The provider calls it done, and gave no link to a file that could be fetched.',
  },
  body: excerpt(text),
})

/**
 * The answer to the second query for a result. What the provider refuses for good is the failure of
 * the task; trouble is no answer.
 */
export function readResult(dialect: Dialect, answer: Answer, baseUrl: string): TaskAnswer {
  const { status, text } = answer
  const json = parseJson(text)
  const said = saidBy(dialect, json)
  if (status >= 200 && status < 300 && said.code === '') {
    const videoUrl = linkOf(json, dialect.result!.links, baseUrl, dialect.task.toLink)
    return videoUrl === null ? withoutLink(text) : { kind: 'done', videoUrl, expiresAt: null }
  }
  if (isLater(dialect, status, said))
    return { kind: 'later', retryAfterMs: waitOf(dialect, answer, said) }
  const isTrouble = status >= 500 || status < 400 || [401, 403, 404, 408].includes(status)
  if (isTrouble)
    return { kind: 'none', reason: redact(`${status} ${said.code}: its result`, [], 300) }
  return { kind: 'failed', error: refusal(dialect, answer, said) }
}

function done(dialect: Dialect, json: unknown, about: Circumstances): TaskAnswer {
  const { baseUrl, date } = about
  const { task } = dialect
  const videoUrl = linkOf(json, task.links, baseUrl, task.toLink)
  if (videoUrl === null) return withoutLink(about.textOf())
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
