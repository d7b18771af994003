/**
 * What became of a request, as the port tells it: the answer that was read, or why there is none.
 */
import { redact } from '#libs/net/redact.ts'
import { blockedCode } from '#libs/net/guard.ts'
import type { CreateAnswer, Found, TaskAnswer } from '../provider.ts'
import type { Dialect } from './dialect.ts'
import type { Sent } from './exchange.ts'
import { at, idsOf, parseJson } from './fields.ts'
import { dateOf, rateLimitOf } from './headers.ts'
import { readTask, readTaskBody, type Asked } from './meaning.ts'
import type { Answer } from './refusal.ts'

export function foundIn(dialect: Dialect, sent: Sent, asked: Asked, baseUrl: string): Found {
  if (sent.kind !== 'answered')
    return { answer: withoutAnswer(sent), taskId: null, rateLimit: null }
  const rateLimit = rateLimitOf(sent.headers, dialect.limitPerMs)
  return { ...readTask(dialect, sent, asked, baseUrl), rateLimit }
}

const ends: readonly TaskAnswer['kind'][] = ['done', 'failed', 'unusable']

/** It says how a task has ended, and not which. */
export const isNamelessEnd = (dialect: Dialect, sent: Sent, { answer }: Found): boolean =>
  sent.kind === 'answered' &&
  ends.includes(answer.kind) &&
  idsOf(parseJson(sent.text), dialect.task.id).length === 0

/** By task id; null for what is left out. One refusal is the answer for all. */
export function readMany(
  dialect: Dialect,
  sent: Answer,
  taskIds: string[],
  baseUrl: string,
): (TaskAnswer | null)[] {
  const { status } = sent
  const json = parseJson(sent.text)
  const tasks = status >= 200 && status < 300 ? at(json, dialect.many!.tasks) : []
  if (tasks.length === 0 && (status === 401 || status === 429 || status >= 500)) {
    const { answer } = readTask(dialect, sent, { taskId: '' }, baseUrl)
    return taskIds.map(() => answer)
  }
  const date = dateOf(sent.headers)
  const byId = new Map<string, TaskAnswer>()
  for (const task of tasks) {
    const textOf = () => JSON.stringify(task)
    for (const taskId of idsOf(task, dialect.task.id)) {
      const about = { textOf, asked: { taskId }, baseUrl, status, date }
      const { answer } = readTaskBody(dialect, task, about)
      // a list may tell words without links
      if (answer.kind !== 'unusable') byId.set(taskId, answer)
    }
  }
  return taskIds.map((id) => byId.get(dialect.idOf?.(id) ?? id) ?? null)
}

type NoAnswer = Exclude<Sent, { kind: 'answered' }>

export function withoutAnswer(sent: NoAnswer): TaskAnswer {
  if (sent.kind !== 'unreadable') return { kind: 'none', reason: sent.reason }
  return {
    kind: 'unusable',
    error: { code: 'no_result', message: `The provider was asked, and ${sent.reason}.` },
    body: sent.reason,
  }
}

export function createWithoutAnswer(sent: NoAnswer): CreateAnswer {
  if (sent.kind === 'lost') return { kind: 'unknown', reason: sent.reason }
  if (sent.kind === 'unreadable')
    return sent.status >= 200 && sent.status < 300
      ? { kind: 'unreadable', reason: sent.reason }
      : { kind: 'unknown', reason: `${sent.status}: ${sent.reason}` }
  // rule: what was not written was not accepted
  if (!sent.isFinal) {
    const { reason, isLate } = sent
    return { kind: 'later', retryAfterMs: null, reason, ...(isLate ? { isLate } : {}) }
  }
  const message =
    sent.reason === blockedCode
      ? 'The base URL leads into a private network; give a public one.'
      : `Nothing was sent to the provider: ${sent.reason}.`
  return { kind: 'refused', error: { code: 'invalid_request', message: redact(message) } }
}
