/**
 * A provider from its dialect: one request in JSON for a create, one for a query, each with a
 * time-out of its own; a create is one request, whatever becomes of it.
 */
import { oneKey, type CredentialPart } from './credentials.ts'
import { AnsweredTasks } from './edge/answered-tasks.ts'
import {
  createWithoutAnswer,
  foundIn,
  isNamelessEnd,
  readMany,
  withoutAnswer,
} from './edge/answers.ts'
import { readCancel } from './edge/cancel.ts'
import type { Dialect, OpenAccount, Request, Unaskable } from './edge/dialect.ts'
import type { Outgoing, Sent } from './edge/exchange.ts'
import { parseJson } from './edge/fields.ts'
import { rateLimitOf } from './edge/headers.ts'
import { readCreate, readResult, type Asked } from './edge/meaning.ts'
import { OpenAccounts } from './edge/open-accounts.ts'
import { searchList } from './edge/search.ts'
import { Edge, type EdgeOptions } from './edge/send.ts'
import type { Account, Control, Declared, Found, Provider } from './provider.ts'

export interface RestOptions extends EdgeOptions, Pick<Declared, 'budgets' | 'recoveryHosts'> {
  /** Of a whole request, in milliseconds. */
  createTimeoutMs: number
  getTimeoutMs: number
  /** Unix time, for those who sign with it. */
  nowSeconds?: (() => number) | undefined
  /** What an account is opened with; one key where it is not given. */
  credentials?: readonly CredentialPart[] | undefined
  /** Hosts, beside the account's own, whose links need its credentials; none: no link does. */
  keyedHosts?: readonly string[] | undefined
}

/** Of places: a query of many that was refused is not tried there again. */
const mostWithoutMany = 1_000

type RequestOf = (opened: OpenAccount) => Request | Unaskable
type Send = (
  account: Account,
  request: RequestOf,
  timeoutMs: number,
  control?: Control & Pick<Outgoing, 'namesTask'>,
) => Promise<Sent>

function sender(
  dialect: Dialect,
  edge: Edge,
  accounts: OpenAccounts,
  nowSeconds: () => number,
): Send {
  return async (account, requestOf, timeoutMs, control) => {
    const opened = await accounts.open(account, timeoutMs)
    if ('failed' in opened) return opened.failed
    const request = requestOf(opened.account)
    if ('refused' in request) return { kind: 'not_sent', reason: request.refused, isFinal: true }
    const { path, baseUrl = account.baseUrl } = request
    const method = request.method ?? (request.body === undefined ? 'GET' : 'POST')
    const body =
      request.body === undefined || typeof request.body === 'string'
        ? (request.body ?? null)
        : JSON.stringify(request.body)
    const { headers, secrets } = dialect.authenticate(opened.account, {
      method,
      baseUrl,
      path,
      body,
      nowSeconds: nowSeconds(),
    })
    return edge.send({
      method,
      baseUrl,
      path,
      body,
      timeoutMs,
      secrets: [...new Set([...secrets, ...opened.secrets])],
      headers: { ...headers, ...request.headers },
      ...control,
    })
  }
}

const declaredOf = (dialect: Dialect, { budgets, recoveryHosts }: RestOptions): Declared => ({
  name: dialect.name,
  can: {
    findByOwnId: dialect.find !== undefined,
    repeatMs: dialect.repeat?.withinMs,
    listMs: dialect.list?.reachMs,
    listMayLack: dialect.list?.provesAbsence === false,
    cancel: dialect.cancel?.when ?? false,
  },
  expectedMs: dialect.expectedMs,
  resultLifeMs: dialect.resultLifeMs,
  budgets,
  recoveryHosts,
})

type Query = (account: Account, request: RequestOf, control?: Parameters<Send>[3]) => Promise<Sent>

/** Asks for one task, and for its result where that is a query of its own. */
function asker(dialect: Dialect, query: Query) {
  return async (
    account: Account,
    request: RequestOf,
    asked: Asked,
    control?: Control,
  ): Promise<Found> => {
    const namesTask = 'taskId' in asked && dialect.task.id.length > 0
    const foundBy = (one: Sent) => foundIn(dialect, one, asked, account.baseUrl)
    let sent = await query(account, request, { ...control, namesTask })
    let found = foundBy(sent)
    // rule: an end that names no task is asked for again, over a connection of its own
    if (namesTask && isNamelessEnd(dialect, sent, found)) {
      sent = await query(account, request, control)
      found = foundBy(sent)
    }
    if (found.answer.kind !== 'unusable' || sent.kind !== 'answered') return found
    const result = dialect.result?.ask(parseJson(sent.text), found.taskId ?? '')
    if (!result) return found
    const second = await query(account, () => result, control)
    if (second.kind !== 'answered') return { ...found, answer: withoutAnswer(second) }
    return { ...found, answer: readResult(dialect, second, account.baseUrl) }
  }
}

export function createRestProvider(dialect: Dialect, options: RestOptions): Provider {
  const edge = new Edge(options)
  const { nowSeconds = () => 0, credentials = oneKey } = options
  const accounts = new OpenAccounts(dialect, credentials, edge, nowSeconds)
  const send = sender(dialect, edge, accounts, nowSeconds)
  const withoutMany = new Set<string>()
  const answered = new AnsweredTasks()
  const query: Query = (account, request, control) =>
    send(account, request, options.getTimeoutMs, control)
  const ask = asker(dialect, query)
  const { many, find, list, cancel } = dialect

  return {
    ...declaredOf(dialect, options),
    async create(account, input, control) {
      const requestOf = (opened: OpenAccount) => dialect.create(input, opened)
      const sent = await send(account, requestOf, options.createTimeoutMs, control)
      if (sent.kind !== 'answered') return createWithoutAnswer(sent)
      const limit = rateLimitOf(sent.headers, dialect.limitPerMs)
      if (limit) control?.onRateLimit?.(limit)
      return answered.own(account, input, readCreate(dialect, sent, input))
    },
    handleOf: (taskId, request) =>
      dialect.handleOf?.(taskId, request) ?? (dialect.handle ? null : taskId),
    get: (account, taskId, control) =>
      ask(account, (opened) => dialect.get(taskId, opened), { taskId }, control),
    find: async (account, { ownId, request }, control) => {
      if (!find) throw new Error(`${dialect.name} cannot look up by own id`)
      const found = await ask(account, () => find(ownId, request), { ownId }, control)
      const taskId = found.taskId && request && dialect.handleOf?.(found.taskId, request)
      return taskId ? { ...found, taskId } : found
    },
    search: (account, lost, control) => {
      if (!list) throw new Error(`${dialect.name} has no list`)
      return searchList(dialect, account.baseUrl, lost, (request) =>
        query(account, request, control),
      )
    },
    async cancel(account, taskId, control) {
      if (!cancel) throw new Error(`${dialect.name} cannot cancel`)
      return readCancel(dialect, await query(account, () => cancel.ask(taskId), control))
    },
    mostAtOnce: ({ baseUrl }) => (many && !withoutMany.has(baseUrl) ? many.most : 1),
    async getMany(account, taskIds, control) {
      if (!many || withoutMany.has(account.baseUrl))
        return { answers: taskIds.map(() => null), rateLimit: null }
      const sent = await query(account, () => many.ask(taskIds), { ...control, namesTask: true })
      if (sent.kind !== 'answered')
        return { answers: taskIds.map(() => withoutAnswer(sent)), rateLimit: null }
      const answers = readMany(dialect, sent, taskIds, account.baseUrl)
      // rule: a useless query of many is not repeated
      if (answers.every((one) => one === null) && withoutMany.size < mostWithoutMany)
        withoutMany.add(account.baseUrl)
      return { answers, rateLimit: rateLimitOf(sent.headers, dialect.limitPerMs) }
    },
    linkHeaders: (account, link) => linkHeaders(dialect, accounts, options, { account, link }),
    [Symbol.asyncDispose]: () => edge[Symbol.asyncDispose](),
  }
}

async function linkHeaders(
  dialect: Dialect,
  accounts: OpenAccounts,
  { keyedHosts, getTimeoutMs, nowSeconds = () => 0 }: RestOptions,
  { account, link }: { account: Account; link: string },
): Promise<Record<string, string> | null> {
  const { origin, pathname, search } = new URL(link)
  const further = keyedHosts?.map((host) => `https://${host}`) ?? []
  const origins = [new URL(account.baseUrl).origin, ...further]
  // rule: a key goes to its own hosts only
  if (!keyedHosts || !origins.includes(origin)) return {}
  const opened = await accounts.open(account, getTimeoutMs)
  if ('failed' in opened) return null
  const asked = { method: 'GET', baseUrl: origin, path: pathname + search, body: null }
  return dialect.authenticate(opened.account, { ...asked, nowSeconds: nowSeconds() }).headers
}
