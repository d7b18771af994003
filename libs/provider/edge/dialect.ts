/** What an adapter declares of its provider's wire format; `createRestProvider` does the rest. */
import type { ErrorCode } from '#libs/scene-video/scene-video.ts'
import type { Account, CreateRequest } from '../provider.ts'

export interface Request {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Beneath the base URL, with its query. */
  path: string
  body?: unknown
  headers?: Record<string, string>
}

/** How a lost create is recovered: what may be promised about paying once. */
export type Recovery = 'own_id' | 'none'

/** A model as far as it is known; absent is unknown, and then nothing is refused for it. */
export interface Model {
  name: string
  /** Seconds. */
  durations?: readonly number[]
  aspectRatios?: readonly string[]
  resolutions?: readonly string[]
  inputs: readonly ('text' | 'image')[]
}

/** Whether a webhook is the provider's own; it then is a hint to poll, never the truth. */
export interface WebhookVerifier {
  /** `nowSeconds` is Unix time. */
  isSigned(secret: string, headers: WebhookHeaders, body: string, nowSeconds: number): boolean
  /** Our own id in the body, where it has one; null where the callback's path has to tell. */
  ownIdIn(body: unknown): string | null
}
export type WebhookHeaders = (name: string) => string

/** A provider: its wire format, and what is told of it to users and operators. */
export interface Declaration {
  dialect: Dialect
  /** The provider's own address; settable as `<NAME>_BASE_URL`. */
  baseUrl: string
  /** Used where nobody names one; settable as `<NAME>_MODEL`. */
  model: string
  models: readonly Model[]
  webhook?: WebhookVerifier
}

/** What a status word means. `removed`: done, and its result is gone. */
export type Meaning = 'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'expired' | 'removed'

/** Where something lies in an answer, see `at`; the first that is there counts. */
export type Paths = readonly string[]

export interface Dialect {
  name: string
  /** Milliseconds. */
  expectedMs: number
  resultLifeMs: number
  /** The headers that authenticate, and every secret in the account, to be blanked. */
  authenticate(account: Account): { headers: Record<string, string>; secrets: readonly string[] }

  create(request: CreateRequest): Request
  /** Where an answer to a create has the task's id. */
  createdId: Paths
  get(taskId: string): Request
  /** A look-up by own id, where there is one. */
  find?: (ownId: string) => Request

  task: {
    /** Where an answer has the task's own id: it must be the one asked for. */
    id: Paths
    /** Where an answer has our own id: at a look-up it must be ours. */
    ownId?: Paths
    status: Paths
    progress?: Paths
    links: Paths
    /** Seconds, milliseconds or a date. */
    expiresAt?: Paths
    completedAt?: Paths
    reason: Paths
    reasonCode?: Paths
  }
  progressIn: 'percent' | 'fraction'
  /** Status words, in lower case. */
  words: Readonly<Record<string, Meaning>>

  /** Where a refusal has its code and its text. */
  error: { code: Paths; message: Paths }
  /** The provider's codes, in lower case, that mean one of ours. */
  codes: Readonly<Record<string, ErrorCode>>
  /** HTTP statuses of a refusal that has a code of its own, where the code says nothing. */
  statuses: Readonly<Record<number, ErrorCode>>
  /** Codes that say "not accepted, try again", beside any 429. */
  laterCodes: readonly string[]
  /** Codes by which it says that there is no such task. */
  missingCodes: readonly string[]
  /** Codes by which it says that it has a task of this own id already. */
  duplicateCodes?: readonly string[]

  /** A query of many; answers are told apart by `task.id`. */
  many?: { most: number; ask(taskIds: string[]): Request; tasks: string }
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

export const bearer: Dialect['authenticate'] = ({ apiKey }) => ({
  headers: { authorization: `Bearer ${apiKey}` },
  secrets: [apiKey],
})
