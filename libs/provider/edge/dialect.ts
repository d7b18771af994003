/** What an adapter declares of its provider's wire format; `createRestProvider` does the rest. */
import type { ErrorCode } from '#libs/scene-video/scene-video.ts'
import type { Account, CreateRequest } from '../provider.ts'

export interface Request {
  /** Where that is another place than the account's. */
  baseUrl?: string
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Beneath the base URL, with its query. */
  path: string
  /** Sent as JSON; a text as it is, under the `content-type` given in `headers`. */
  body?: unknown
  headers?: Record<string, string>
}

/** What cannot be asked of this provider, told without a request. */
export interface Unaskable {
  refused: string
}

/** An account as its dialect sees it. */
export interface OpenAccount extends Account {
  /** By the names that the declaration gives them. */
  credentials: Readonly<Record<string, string>>
  /** What `login` was answered with; null where there is none. */
  token: string | null
}

/** A request as it will be sent, for those who sign it. `nowSeconds` is Unix time. */
export interface ToSign {
  method: string
  baseUrl: string
  path: string
  body: string | null
  nowSeconds: number
}

/**
 * What a status word means. `removed`: done, and its result is gone. `blocked`: its policy held the
 * result back. `missing`: there is no such task.
 */
export type Meaning =
  | 'queued'
  | 'running'
  | 'done'
  | 'failed'
  | 'blocked'
  | 'cancelled'
  | 'expired'
  | 'removed'
  | 'missing'

/** Where something lies in an answer, see `at`; the first that is there counts. */
export type Paths = readonly string[]

/** Instants are Unix milliseconds. `cursor` is null for the first page. */
export interface ListPage {
  from: number
  until: number
  model: string
  cursor: string | null
  /** The account's. */
  baseUrl: string
  /** Of the create that is looked for. */
  ownId: string
}

export interface Listing {
  /** How far back it reaches, in milliseconds. */
  reachMs: number
  ask(page: ListPage, account: OpenAccount): Request
  items: string
  /** The next page; null after the last. */
  next(answer: unknown, cursor: string | null): string | null
  /** False: it may leave out a task, so that only what is found in it counts. */
  provesAbsence?: false
  /** The task's handle, where that is more than `id`. */
  handle?: (item: unknown) => string | null
  /** The task's id in an item; the first of `task.id` where it is not given. */
  id?: Paths
  /** Where an item repeats our own id, alone or within a longer text such as a callback's URL. */
  mark?: Paths
  /** Whether a create carried the mark; always, where it is not given. */
  isMarked?: (request: CreateRequest) => boolean
  /** Creates were sent without it, too: an item that has none may be ours. */
  mayLackMark?: true
  /** What the mark is, where it is not the own id itself. */
  markOf?: (ownId: string) => string
  createdAt?: Paths
  model?: Paths
  prompt?: Paths
  /** False: it was made with other parameters. */
  fits?: (item: unknown, request: CreateRequest) => boolean
}

export interface Dialect {
  name: string
  /** Milliseconds. */
  expectedMs: number
  resultLifeMs: number
  /** The headers that authenticate, and every secret in the account, to be blanked. */
  authenticate(
    account: OpenAccount,
    request: ToSign,
  ): { headers: Record<string, string>; secrets: readonly string[] }
  /**
   * Where requests carry a token that is had for the credentials: asked for before the first one,
   * and again a minute before it ends.
   */
  login?: {
    /** `secrets`: what it is asked for with, to be blanked beside the account's own. */
    ask(account: OpenAccount, nowSeconds: number): Request & { secrets?: readonly string[] }
    token: Paths
    lifeSeconds: Paths
  }

  create(request: CreateRequest, account: OpenAccount): Request | Unaskable
  /** Where an answer to a create has the task's id. */
  createdId: Paths
  /**
   * Where a task is asked for by more than its id: the one text (≤ 4 KiB) that `get`, `cancel` and
   * `result` are given, from the answer to its create, read and as its text. Null: it cannot be
   * read.
   */
  handle?: (answer: unknown, request: CreateRequest, text: string) => string | null
  /** The same, from a task's id alone; absent: it cannot be told so. */
  handleOf?: (taskId: string, request: CreateRequest) => string
  /** The id that answers name, of such a text. */
  idOf?: (handle: string) => string
  get(taskId: string, account: OpenAccount): Request

  /** A look-up by own id, where there is one. */
  find?: (ownId: string, request: CreateRequest | null) => Request | Unaskable
  /**
   * The provider takes a second create with the same own id for the first, and answers with its
   * task, for so many milliseconds.
   */
  repeat?: { withinMs: number }
  /** A list in which a lost create can be found. */
  list?: Listing | undefined

  /** `queued`: a task that runs is never asked to stop. */
  cancel?: {
    when: 'any' | 'queued'
    ask(taskId: string): Request
    /** Codes that say it is too late, beside 400, 404, 409 and 410. */
    tooLateCodes?: readonly string[]
  }

  task: {
    /** Where an answer has the task's own id: it must be the one asked for. */
    id: Paths
    /** Where an answer has our own id: at a look-up it must be ours. */
    ownId?: Paths
    status: Paths
    /** Instead of `status`, where the word follows from more than one field; null: no task. */
    word?: (answer: unknown, httpStatus: number) => string | null
    progress?: Paths
    links: Paths
    /** A link that is no http(s) link, as one that can be fetched. */
    toLink?: (text: string) => string
    /** Seconds, milliseconds or a date. */
    expiresAt?: Paths
    completedAt?: Paths
    reason: Paths
    reasonCode?: Paths
    /** Where it repeats the prompt: confirms what `list` found. */
    prompt?: Paths
  }
  /** Where the link of a task that is done needs a second query. Null: it needs none. */
  result?: {
    ask(answer: unknown, taskId: string): Request | null
    links: Paths
  }
  progressIn: 'percent' | 'fraction'
  /** Status words, in lower case. */
  words: Readonly<Record<string, Meaning>>

  /** Where a refusal has its code and its text. */
  error: { code: Paths; message: Paths }
  /**
   * The provider's codes, in lower case, that mean one of ours. Wherever codes are listed, `a` also
   * stands for every `a.b` that is not listed itself.
   */
  codes: Readonly<Record<string, ErrorCode>>
  /** Of a code that is not in `codes`, and the text beside it; undefined: the status decides. */
  codeOf?: (code: string, text: string) => ErrorCode | undefined
  /** HTTP statuses of a refusal that has a code of its own, where the code says nothing. */
  statuses: Readonly<Record<number, ErrorCode>>
  /** Codes that say "not accepted, try again", beside any 429. */
  laterCodes: readonly string[]
  /** Codes of a fault within the provider, where its HTTP status does not say so. */
  faultCodes?: readonly string[]
  /** Where an answer that asks to wait tells the seconds in its text only; its first group. */
  laterSeconds?: RegExp
  /** Codes by which it says that there is no such task. */
  missingCodes: readonly string[]
  /** The status that says so where there is no code; only with a body of the provider's own. */
  missingStatus?: number
  /** Codes by which it says that it has a task of this own id already. */
  duplicateCodes?: readonly string[]
  /** The same, where it is told in the text only. */
  duplicateText?: RegExp

  /** The time over which `x-ratelimit-limit` counts, in milliseconds, where that is documented. */
  limitPerMs?: number

  /** A query of many; answers are told apart by `task.id`. What it leaves out is asked alone. */
  many?: { most: number; ask(taskIds: string[]): Request; tasks: string } | undefined
}

/** Codes that mean the same wherever they are seen. */
export const commonCodes: Readonly<Record<string, ErrorCode>> = {
  content_policy_violation: 'content_policy',
  content_policy: 'content_policy',
  policy_violation: 'content_policy',
  moderation_blocked: 'content_policy',
  insufficient_user_quota: 'insufficient_balance',
  insufficient_balance: 'insufficient_balance',
  insufficient_quota: 'insufficient_balance',
  insufficient_credits: 'insufficient_balance',
  invalid_api_key: 'bad_key',
}

/** `<scheme> <key>` in `authorization`. */
export const keyAs =
  (scheme: string): Dialect['authenticate'] =>
  ({ apiKey }) => ({ headers: { authorization: `${scheme} ${apiKey}` }, secrets: [apiKey] })

export const bearer = keyAs('Bearer')
