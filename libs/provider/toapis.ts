/**
 * toapis: `POST /videos/generations`, `GET /videos/generations/{task id | own id}`. It can look up
 * by own id and cannot cancel. Wire format: its public documentation. That says that up to 100
 * tasks may be asked for at once, but not under which path: whoever has been told sets it.
 */
import { Agent, errors, request } from 'undici'
import { z } from 'zod'
import type { ErrorCode, VideoError } from '#libs/scene-video/scene-video.ts'
import { getText } from './get-text.ts'
import { blockedCode, guardedConnector } from '#libs/net/guard.ts'
import type {
  Account,
  CreateAnswer,
  CreateRequest,
  Provider,
  RateLimit,
  TaskAnswer,
} from './provider.ts'

/** What answers a query of many: the tasks it knows, in any order. */
const manyBody = z.object({ data: z.array(z.unknown()) })
const errorBody = z.object({
  error: z.object({
    code: z.union([z.string(), z.number()]).transform(String),
    message: z.string().default(''),
  }),
})
/** What we keep: without control characters, which Postgres or a header would refuse. */
const kept = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]+$/u)
const taskId = kept(200)
const createdPlain = z.object({ id: taskId })
const createdEnvelope = z.object({ data: z.array(z.object({ task_id: taskId })).min(1) })
/** The status word decides; what decorates it may be absent or odd, and then counts as absent. */
const taskBody = z.object({
  id: taskId.nullish().catch(null),
  task_id: taskId.nullish().catch(null),
  status: z.string(),
  progress: z.number().min(0).max(100).nullish().catch(null),
  expires_at: z.union([z.number(), z.string()]).nullish().catch(null),
  result: z
    .object({ data: z.array(z.object({ url: kept(8192) })).min(1) })
    .nullish()
    .catch(null),
  error: z
    .object({
      code: z.union([z.string(), z.number()]).transform(String).nullish(),
      message: z.string().nullish(),
    })
    .nullish()
    .catch(null),
})

/** Refusals of this very request, by HTTP status. */
const refusals: Record<number, ErrorCode> = {
  400: 'invalid_request',
  401: 'bad_key',
  402: 'insufficient_balance',
  422: 'content_policy',
}
/** Failures of a task, by the provider's code. */
const failures: Record<string, ErrorCode> = {
  content_policy_violation: 'content_policy',
  content_policy: 'content_policy',
  policy_violation: 'content_policy',
}
/** Nothing of the request can have been read by the provider. */
const notSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** However long a provider asks us to wait, it is asked again within the hour. */
const longestWaitMs = 3_600_000
const secondsToMs = (text: string | undefined): number | null => {
  const seconds = Number(text)
  return text !== undefined && text !== '' && Number.isFinite(seconds) && seconds >= 0
    ? Math.min(longestWaitMs, seconds * 1000)
    : null
}

const header = (
  headers: Record<string, string | string[] | undefined>,
  name: string,
): string | undefined => {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

/**
 * Retry-After in seconds. A date is told against the answer's own Date, so that no clock of ours
 * judges it.
 */
export function retryAfter(
  headers: Record<string, string | string[] | undefined>,
): string | undefined {
  const text = header(headers, 'retry-after')
  if (text === undefined || !Number.isNaN(Number(text))) return text
  const seconds = (Date.parse(text) - Date.parse(header(headers, 'date') ?? '')) / 1000
  return Number.isNaN(seconds) ? undefined : String(Math.max(0, seconds))
}

function readRateLimit(headers: Record<string, string | string[] | undefined>): RateLimit | null {
  const said = header(headers, 'x-ratelimit-remaining')
  const remaining = Number(said)
  if (said === undefined || !Number.isFinite(remaining)) return null
  return { remaining, resetMs: secondsToMs(header(headers, 'x-ratelimit-reset')) ?? 0 }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export interface ToapisOptions {
  /** False for services that speak the same format without keeping `client_business_id`. */
  findByOwnId?: boolean
  createTimeoutMs: number
  getTimeoutMs: number
  /** Where, under a base URL, up to 100 tasks are asked for at once by `POST {ids}`. */
  batchPath?: string | undefined
  maxConnections?: number
  /**
   * The operator's own base URL: it may be anywhere. All others are users', and reach no private
   * network, unless `allowPrivate`.
   */
  trustedBaseUrl?: string
  allowPrivate?: boolean
}

const connectTimeoutMs = 5_000
const batchSize = 100
/** Refused once, a query of many is not tried again there for as long as this process lives. */
const mostWithoutBatch = 1_000

export function createToapis(options: ToapisOptions): Provider {
  const pool = {
    connections: options.maxConnections ?? 128,
    keepAliveTimeout: 30_000,
    maxResponseSize: 4 * 1024 * 1024,
  }
  const open = new Agent({ ...pool, connect: { timeout: connectTimeoutMs } })
  const guarded = options.allowPrivate
    ? open
    : new Agent({ ...pool, connect: guardedConnector(connectTimeoutMs) })
  const agentFor = ({ baseUrl }: Account) => (baseUrl === options.trustedBaseUrl ? open : guarded)
  const withoutBatch = new Set<string>()

  const ask = async (account: Account, path: string, body: string | null = null) => {
    try {
      return await getText(
        agentFor(account),
        account.baseUrl,
        path,
        account.apiKey,
        options.getTimeoutMs,
        body,
      )
    } catch (err) {
      return {
        reason:
          err instanceof errors.UndiciError
            ? err.code
            : ((err as { code?: string }).code ?? (err as Error).name),
      }
    }
  }
  const get: Provider['get'] = async (account, id) => {
    const said = await ask(account, `/videos/generations/${encodeURIComponent(id)}`)
    if ('reason' in said)
      return { answer: { kind: 'none', reason: said.reason }, taskId: null, rateLimit: null }
    const { status, headers, text } = said
    return {
      ...readTask(status, retryAfter(headers), text, header(headers, 'date')),
      rateLimit: readRateLimit(headers),
    }
  }
  const oneByOne = async (account: Account, taskIds: string[]) => {
    const found = await Promise.all(taskIds.map((id) => get(account, id)))
    return {
      answers: found.map(({ answer }) => answer),
      rateLimit: found.findLast(({ rateLimit }) => rateLimit)?.rateLimit ?? null,
    }
  }

  return {
    name: 'toapis',
    can: { findByOwnId: options.findByOwnId ?? true, cancel: false },
    expectedMs: 10 * 60_000,
    resultLifeMs: 24 * 3_600_000,
    async create(account, input) {
      try {
        const { statusCode, headers, body } = await request(
          `${account.baseUrl}/videos/generations`,
          {
            method: 'POST',
            dispatcher: agentFor(account),
            headers: {
              authorization: `Bearer ${account.apiKey}`,
              'content-type': 'application/json',
            },
            body: JSON.stringify(createBody(input)),
            headersTimeout: options.createTimeoutMs,
            bodyTimeout: options.createTimeoutMs,
            signal: AbortSignal.timeout(options.createTimeoutMs),
          },
        )
        return readCreate(statusCode, retryAfter(headers), await body.text())
      } catch (err) {
        const code = (err as { code?: string }).code ?? (err as Error).name
        if (code === blockedCode)
          return {
            kind: 'refused',
            error: {
              code: 'invalid_request',
              message: 'The base URL leads into a private network; give a public one.',
            },
          }
        return notSent.has(code)
          ? { kind: 'later', retryAfterMs: null, reason: code }
          : { kind: 'unknown', reason: code }
      }
    },
    get,
    mostAtOnce: ({ baseUrl }) => (options.batchPath && !withoutBatch.has(baseUrl) ? batchSize : 1),
    async getMany(account, taskIds) {
      if (!options.batchPath || taskIds.length === 1) return oneByOne(account, taskIds)
      const said = await ask(account, options.batchPath, JSON.stringify({ ids: taskIds }))
      if ('reason' in said)
        return {
          answers: taskIds.map(() => ({ kind: 'none', reason: said.reason })),
          rateLimit: null,
        }
      const { status, headers, text } = said
      const known = status === 200 ? readMany(text, header(headers, 'date')) : null
      const { answer } = readTask(status, retryAfter(headers), text)
      if (known === null && (answer.kind === 'later' || status >= 500 || status === 401))
        return { answers: taskIds.map(() => answer), rateLimit: readRateLimit(headers) }
      if (known === null && withoutBatch.size < mostWithoutBatch) withoutBatch.add(account.baseUrl)
      const open = taskIds.filter((id) => !known?.has(id))
      const rest = new Map((await oneByOne(account, open)).answers.map((one, i) => [open[i], one]))
      return {
        answers: taskIds.map((id) => known?.get(id) ?? rest.get(id)!),
        rateLimit: readRateLimit(headers),
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([open, guarded].map((agent) => agent.destroy()))
    },
  }
}

function createBody(input: CreateRequest) {
  return {
    model: input.model,
    prompt: input.prompt,
    duration: input.durationSeconds,
    aspect_ratio: input.aspectRatio,
    resolution: input.resolution,
    image_urls: input.imageUrls,
    metadata: input.metadata,
    client_business_id: input.ownId,
  }
}

/** What an answer to a create means: CONTRACT's table. */
export function readCreate(
  status: number,
  retryAfter: string | undefined,
  text: string,
): CreateAnswer {
  const json = parseJson(text)
  if (status >= 200 && status < 300) {
    const plain = createdPlain.safeParse(json)
    if (plain.success) return { kind: 'accepted', taskId: plain.data.id }
    const envelope = createdEnvelope.safeParse(json)
    if (envelope.success) return { kind: 'accepted', taskId: envelope.data.data[0]!.task_id }
    return { kind: 'unknown', reason: `unreadable ${status}` }
  }
  const said = errorBody.safeParse(json)
  if (!said.success) return { kind: 'unknown', reason: `unreadable ${status}` }
  const { code, message } = said.data.error
  if (status === 429 || (status === 503 && code === 'rate_limit_unavailable'))
    return { kind: 'later', retryAfterMs: secondsToMs(retryAfter), reason: clip(code) }
  const refusal = refusals[status]
  if (refusal) return { kind: 'refused', error: { code: refusal, message: clip(message || code) } }
  return { kind: 'unknown', reason: clip(`${status} ${code}`) }
}

/**
 * What an answer to a look-up or a poll means. `date` is the provider's clock, by which a result's
 * link expires.
 */
export function readTask(
  status: number,
  retryAfter: string | undefined,
  text: string,
  date?: string,
): { answer: TaskAnswer; taskId: string | null } {
  const json = parseJson(text)
  if (status === 200) return readTaskBody(json, text, date)
  const code = errorBody.safeParse(json).data?.error.code
  if (status === 404 && code === 'task_not_found')
    return { answer: { kind: 'missing' }, taskId: null }
  if (status === 429 || (status === 503 && code === 'rate_limit_unavailable'))
    return { answer: { kind: 'later', retryAfterMs: secondsToMs(retryAfter) }, taskId: null }
  return { answer: { kind: 'none', reason: clip(`${status} ${code ?? ''}`).trim() }, taskId: null }
}

/**
 * Answers by task id; null when it is no answer to a query of many. What cannot be told apart is
 * left out.
 */
export function readMany(text: string, date?: string): Map<string, TaskAnswer> | null {
  const parsed = manyBody.safeParse(parseJson(text))
  if (!parsed.success) return null
  const answers = parsed.data.data.map((one) => readTaskBody(one, JSON.stringify(one), date))
  return new Map(
    answers.flatMap(({ answer, taskId: id }) => (id === null ? [] : [[id, answer] as const])),
  )
}

function readTaskBody(
  json: unknown,
  text: string,
  date: string | undefined,
): { answer: TaskAnswer; taskId: string | null } {
  if (json === undefined) return { answer: { kind: 'none', reason: 'not JSON' }, taskId: null }
  const parsed = taskBody.safeParse(json)
  if (!parsed.success)
    return { answer: { kind: 'unknown', body: text.slice(0, 1000) }, taskId: null }
  const body = parsed.data
  const taskId = body.id ?? body.task_id ?? null
  return { answer: readStatus(body, text, date), taskId }
}

function readStatus(
  body: z.infer<typeof taskBody>,
  text: string,
  date: string | undefined,
): TaskAnswer {
  const percent =
    body.progress === null || body.progress === undefined ? null : Math.floor(body.progress)
  if (body.status === 'queued' || body.status === 'submitted')
    return { kind: 'working', phase: 'queued', progress: percent }
  if (body.status === 'in_progress') return { kind: 'working', phase: 'running', progress: percent }
  if (body.status === 'failed')
    return { kind: 'failed', error: failure(body.error?.code ?? '', body.error?.message ?? '') }
  const url = body.result?.data[0]?.url
  if (body.status === 'completed' && url) {
    const expiresAt = toIso(body.expires_at)
    if (expiresAt !== null && Date.parse(expiresAt) <= Date.parse(date ?? ''))
      return {
        kind: 'failed',
        error: {
          code: 'timed_out',
          message: 'It was done, but the provider’s link to it has expired.',
        },
      }
    return { kind: 'done', videoUrl: url, expiresAt }
  }
  return { kind: 'unknown', body: text.slice(0, 1000) }
}

/** As much of it as we keep, in characters that can be kept. */
const clip = (message: string) =>
  message
    .slice(0, 1900)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')

function failure(code: string, message: string): VideoError {
  return {
    code: failures[code] ?? 'provider_failed',
    message: clip(message || code || 'The provider gave no reason.'),
  }
}

/** Unix seconds or a date; null where it is neither. */
function toIso(at: number | string | null | undefined): string | null {
  if (at === null || at === undefined) return null
  const date =
    typeof at === 'number'
      ? new Date(at * 1000)
      : new Date(/^\d+$/.test(at) ? Number(at) * 1000 : at)
  const year = date.getUTCFullYear()
  return year >= 1970 && year <= 9999 ? date.toISOString() : null
}
