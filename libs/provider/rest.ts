/**
 * A provider from its dialect: one request in JSON for a create, one for a query. Creates and
 * queries have time-outs of their own; a create is one request, whatever becomes of it.
 */
import { redact } from '#libs/net/redact.ts'
import { blockedCode } from '#libs/net/guard.ts'
import type { Dialect, Request } from './edge/dialect.ts'
import { dateOf, rateLimitOf } from './edge/headers.ts'
import { at, idsOf, parseJson } from './edge/fields.ts'
import { readCreate, readTask, readTaskBody, type Answer, type Asked } from './edge/meaning.ts'
import type { Sent } from './edge/exchange.ts'
import { Edge, type EdgeOptions } from './edge/send.ts'
import type { Account, Control, CreateAnswer, Found, Provider, TaskAnswer } from './provider.ts'

export interface RestOptions extends EdgeOptions {
  /** Of a whole request, in milliseconds. */
  createTimeoutMs: number
  getTimeoutMs: number
}

/** Refused once, a query of many is not tried again there for as long as this process lives. */
const mostWithoutMany = 1_000

export function createRestProvider(dialect: Dialect, options: RestOptions): Provider {
  const edge = new Edge(options)
  const withoutMany = new Set<string>()

  const send = (account: Account, request: Request, timeoutMs: number, control?: Control) => {
    const { headers, secrets } = dialect.authenticate(account)
    return edge.send({
      method: request.method ?? (request.body === undefined ? 'GET' : 'POST'),
      baseUrl: account.baseUrl,
      path: request.path,
      body: request.body === undefined ? null : JSON.stringify(request.body),
      timeoutMs,
      secrets,
      headers: { ...headers, ...request.headers },
      ...control,
    })
  }

  const ask = async (
    account: Account,
    request: Request,
    asked: Asked,
    control?: Control,
  ): Promise<Found> => {
    const sent = await send(account, request, options.getTimeoutMs, control)
    if (sent.kind !== 'answered')
      return { answer: withoutAnswer(sent), taskId: null, rateLimit: null }
    return {
      ...readTask(dialect, sent, asked, account.baseUrl),
      rateLimit: rateLimitOf(sent.headers),
    }
  }
  const { many, find } = dialect

  return {
    name: dialect.name,
    can: { findByOwnId: find !== undefined, cancel: false },
    expectedMs: dialect.expectedMs,
    resultLifeMs: dialect.resultLifeMs,
    async create(account, input, control) {
      const sent = await send(account, dialect.create(input), options.createTimeoutMs, control)
      return sent.kind === 'answered' ? readCreate(dialect, sent) : createWithoutAnswer(sent)
    },
    get: (account, taskId, control) => ask(account, dialect.get(taskId), { taskId }, control),
    find: (account, ownId, control) => {
      if (!find) throw new Error(`${dialect.name} cannot look up by own id`)
      return ask(account, find(ownId), { ownId }, control)
    },
    mostAtOnce: ({ baseUrl }) => (many && !withoutMany.has(baseUrl) ? many.most : 1),
    async getMany(account, taskIds, control) {
      if (!many || withoutMany.has(account.baseUrl))
        return { answers: taskIds.map(() => null), rateLimit: null }
      const sent = await send(account, many.ask(taskIds), options.getTimeoutMs, control)
      if (sent.kind !== 'answered')
        return { answers: taskIds.map(() => withoutAnswer(sent)), rateLimit: null }
      const answers = readMany(dialect, sent, taskIds, account.baseUrl)
      // rule: a useless query of many is not repeated
      if (answers.every((one) => one === null) && withoutMany.size < mostWithoutMany)
        withoutMany.add(account.baseUrl)
      return { answers, rateLimit: rateLimitOf(sent.headers) }
    },
    [Symbol.asyncDispose]: () => edge[Symbol.asyncDispose](),
  }
}

/** By task id; null for what is left out. One refusal is the answer for all. */
function readMany(
  dialect: Dialect,
  sent: Answer,
  taskIds: string[],
  baseUrl: string,
): (TaskAnswer | null)[] {
  const json = parseJson(sent.text)
  const tasks = sent.status >= 200 && sent.status < 300 ? at(json, dialect.many!.tasks) : []
  if (tasks.length === 0 && (sent.status === 401 || sent.status === 429 || sent.status >= 500)) {
    const { answer } = readTask(dialect, sent, { taskId: '' }, baseUrl)
    return taskIds.map(() => answer)
  }
  const date = dateOf(sent.headers)
  const byId = new Map<string, TaskAnswer>()
  for (const task of tasks) {
    const text = JSON.stringify(task)
    for (const taskId of idsOf(task, dialect.task.id))
      byId.set(
        taskId,
        readTaskBody(dialect, task, { text, asked: { taskId }, baseUrl, date }).answer,
      )
  }
  return taskIds.map((id) => byId.get(id) ?? null)
}

type NoAnswer = Exclude<Sent, { kind: 'answered' }>

function withoutAnswer(sent: NoAnswer): TaskAnswer {
  if (sent.kind !== 'unreadable') return { kind: 'none', reason: sent.reason }
  return {
    kind: 'unusable',
    error: { code: 'no_result', message: `The provider was asked, and ${sent.reason}.` },
    body: sent.reason,
  }
}

function createWithoutAnswer(sent: NoAnswer): CreateAnswer {
  if (sent.kind === 'lost') return { kind: 'unknown', reason: sent.reason }
  if (sent.kind === 'unreadable')
    return sent.status >= 200 && sent.status < 300
      ? { kind: 'unreadable', reason: sent.reason }
      : { kind: 'unknown', reason: `${sent.status}: ${sent.reason}` }
  // rule: what was not written was not accepted
  if (!sent.isFinal) return { kind: 'later', retryAfterMs: null, reason: sent.reason }
  const message =
    sent.reason === blockedCode
      ? 'The base URL leads into a private network; give a public one.'
      : `Nothing was sent to the provider: ${sent.reason}.`
  return { kind: 'refused', error: { code: 'invalid_request', message: redact(message) } }
}
