/**
 * What a provider's dialect in the simulator is: how its requests are read and its answers said. It
 * is written from the provider's documentation and shares no code with the adapter. Tasks, charges,
 * faults, budgets and time are the simulator's own, behind `World`.
 */
import type { IncomingHttpHeaders } from 'node:http'

export interface Incoming {
  method: string
  /** Beneath the provider's own prefix: `/videos/1`. */
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  /** What was sent, byte for byte; as signatures need it. */
  raw: string
  /** The provider's own address, without a slash at its end. */
  baseUrl: string
}

export interface Said {
  status: number
  /** As JSON; text is sent as it is. */
  body: unknown
  headers?: Record<string, string>
  /** The film is sent instead of the body. */
  isFile?: true
}

/** `parallel`: over the number of tasks at once. `too_late`: can no longer be cancelled. */
export type TroubleKind =
  | 'bad_key'
  | 'invalid'
  | 'policy'
  | 'balance'
  | 'throttled'
  | 'parallel'
  | 'busy'
  | 'internal'
  | 'missing'
  | 'too_late'
  | 'no_route'

/** Thrown by World and by dialects alike; the dialect says it in its own words. */
export class Trouble extends Error {
  readonly kind: TroubleKind
  /** Seconds or a date, for `Retry-After`. */
  readonly retryAfter: string | undefined
  constructor(kind: TroubleKind, message: string, retryAfter?: string) {
    super(message)
    this.kind = kind
    this.retryAfter = retryAfter
  }
}

/**
 * `blocked`: the content policy found it at the end. `expired`: never run in time. `strange`: runs,
 * in a word nobody has heard of.
 */
export type Status =
  'queued' | 'running' | 'strange' | 'completed' | 'failed' | 'blocked' | 'expired' | 'cancelled'

/** A task as it is now. Instants are Unix milliseconds. */
export interface View {
  taskId: string
  ownId: string | null
  model: string
  prompt: string
  status: Status
  /** 0–100. */
  progress: number
  createdAt: number
  startsAt: number
  /** Null until it has ended. */
  endedAt: number | null
  /** Where its film is, and until when. */
  link: string
  expiresAt: number
  /** Why it failed. */
  reason: string
  /** What its dialect kept with it. */
  input: Record<string, unknown>
}

export interface Order {
  /** Letters, digits, `-` and `_`. */
  taskId: string
  model: string
  prompt: string
  ownId?: string | null | undefined
  /** A second order of this account with the same key is none: the first one's task is answered. */
  dedupeKey?: string | undefined
  input?: Record<string, unknown>
  callbackUrl?: string | undefined
}

/** What one request may do. Throws Trouble, as the settings of faults and budgets have it. */
export interface World {
  readonly now: number
  create(order: Order): View & { isRepeated: boolean }
  /** By the provider's task id, by our own id, or by either. */
  find(id: string, by: 'task' | 'own' | 'either'): View
  /** Those of these that are there. */
  findMany(ids: readonly string[], by: 'task' | 'own'): View[]
  /** Created between these instants, the newest first. */
  list(from: number, to: number): View[]
  /** Only while it is queued, or until its end. */
  cancel(id: string, until: 'started' | 'ended'): View
}

/** A delivery to a callback URL; only ends are told. */
export interface Delivery {
  headers: Record<string, string>
  body: unknown
}

export interface SimulatedProvider {
  /** The path prefix it is served under, and what the ledger calls it. */
  name: string
  /** Whose request it is; null: its key is not accepted. */
  account(request: Incoming): string | null
  /** A request for a token, which is of no account; null: it is none. */
  login?(request: Incoming): Said | null
  handle(request: Incoming, world: World): Said | Promise<Said>
  /** `retryAfter` is told in a header in any case. */
  trouble(kind: TroubleKind, message: string, retryAfter?: string): Said
  /** False: budgets are kept to and not told in headers. */
  tellsBudget?: true
  /** `url` is where it is delivered. */
  webhook?(task: View, secret: string | null, now: number, url: string): Delivery
}

export const bearerOf = ({ headers }: Incoming): string | null =>
  /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? null

/** What was sent, as an object. */
export function json({ raw }: Incoming): Record<string, unknown> {
  try {
    const body: unknown = JSON.parse(raw)
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>
  } catch {
    // said below
  }
  throw new Trouble('invalid', 'The body is not an object in JSON.')
}

/** A text that has to be there. */
export function text(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new Trouble('invalid', `${name} is missing.`)
}

export const optionalText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined

export const said = (body: unknown, status = 200): Said => ({ status, body })

export const noRoute = (): never => {
  throw new Trouble('no_route', 'There is no such route.')
}

/** Whole seconds of Unix time. */
export const seconds = (ms: number): number => Math.floor(ms / 1_000)

let last = 0
/** Digits only, as some providers' ids are; unique. */
export const digits = (length: number, now: number): string => {
  last = Math.max(last + 1, now * 100)
  return `8${String(last)
    .padStart(length - 1, '0')
    .slice(-(length - 1))}`
}
