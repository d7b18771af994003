/**
 * The port to a provider. A Submitter spends money: a create is sent once per intent. Everybody
 * else only asks, and what they do may be repeated. An adapter never guesses: what it does not
 * recognise is `unknown`, with the body. Every text in an answer has passed `redact`.
 */
import type { VideoError } from '#libs/scene-video/scene-video.ts'

/**
 * Where, and as whom. Both come from the intent, so a later change of configuration moves no
 * running task.
 */
export interface Account {
  baseUrl: string
  /** The key, or, where a provider's credentials have several parts, these as JSON. */
  apiKey: string
}

export interface CreateRequest {
  ownId: string
  model: string
  prompt: string
  durationSeconds?: number | undefined
  aspectRatio?: string | undefined
  resolution?: string | undefined
  imageUrls?: string[] | undefined
  metadata?: Record<string, unknown> | undefined
  /** Where the provider may tell what became of it; it names the own id in its path. */
  callbackUrl?: string | undefined
}

/** What is used of an AbortSignal, which is one. */
export interface AbortSignalLike {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void, options?: { once: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}

/** What a caller may do to a request under way. */
export interface Control {
  /** Ends it: for the caller it is then lost, or, before its first byte, not sent. */
  signal?: AbortSignalLike | undefined
  /**
   * Asked at the moment the request is handed to the socket; false: not a byte of it is sent, and
   * the answer is `later`.
   */
  mayWrite?: (() => boolean) | undefined
  /** Told what the answer says of the account's rate limit. */
  onRateLimit?: ((limit: RateLimit) => void) | undefined
}

/** A create whose answer is lost. Instants are Unix milliseconds. */
export interface Lost {
  request: CreateRequest
  /** Sent no earlier and no later than these. */
  from: number
  until: number
  /** Tasks that are known to be of other creates. */
  known: ReadonlySet<string>
  /** Another such create is lost as well: then only a mark tells which task is whose. */
  hasRivals?: boolean
}

export type Searched =
  | { kind: 'found'; taskId: string }
  /** The list was read to its end, and nothing in it can be it. */
  | { kind: 'absent' }
  /** More than one task fits, or nothing confirms the one that does. */
  | { kind: 'doubtful'; reason: string }
  | { kind: 'later'; retryAfterMs: number | null }
  | { kind: 'none'; reason: string }

export type CancelAnswer =
  | { kind: 'cancelled' }
  /** It runs to its end, or has ended. */
  | { kind: 'too_late'; reason: string }
  | { kind: 'later'; retryAfterMs: number | null }
  | { kind: 'none'; reason: string }

/** What the provider said of its rate limit on this answer, if anything. */
export interface RateLimit {
  remaining: number
  /** Milliseconds until it is full again. */
  resetMs: number
  /** Calls a second that the limit allows for, where it says over which time it counts. */
  perSecond: number | null
}

/** What one account may do: as documented of the usual class, and as the operator has set it. */
export interface Budgets {
  usual: Budget
  set: Budget
}

/** Absent is unknown. */
export interface Budget {
  queryPerSecond?: number
  /** Queries that may be made at once after a pause. */
  queryBurst?: number
  createPerMinute?: number
  /** Tasks at work at once; more are refused or queued there. */
  parallelTasks?: number
}

export type CreateAnswer =
  | { kind: 'accepted'; taskId: string }
  | { kind: 'refused'; error: VideoError }
  /**
   * Not accepted, but may be later. `isOverLimit`: this account asked for too much. `isLate`: its
   * time to be sent had passed, which says nothing of the provider.
   */
  | {
      kind: 'later'
      retryAfterMs: number | null
      reason: string
      isOverLimit?: true
      isLate?: true
    }
  /** A 2xx that cannot be read: probably accepted, so never sent again. */
  | { kind: 'unreadable'; reason: string }
  /** It may or may not have been accepted. */
  | { kind: 'unknown'; reason: string }

export type TaskAnswer =
  | { kind: 'working'; phase: 'queued' | 'running'; progress: number | null }
  | { kind: 'done'; videoUrl: string; expiresAt: string | null }
  | { kind: 'failed'; error: VideoError }
  /**
   * Done, by its word, but nothing comes of it: no usable link, or an answer beyond every bound.
   * Said once it is unknown; said again and again it is the end, with this error.
   */
  | { kind: 'unusable'; error: VideoError; body: string }
  /** Asked to wait: over a rate limit, or temporarily unavailable by its own word. */
  | { kind: 'later'; retryAfterMs: number | null }
  /** The provider's own "no such task". */
  | { kind: 'missing' }
  /** No usable answer: network, time-out, 5xx, a body that cannot be read, a key not accepted. */
  | { kind: 'none'; reason: string }
  /** Readable, but not in words we know, or about another task: `said` is the word, or which. */
  | { kind: 'unknown'; said: string; body: string }

export interface Found {
  answer: TaskAnswer
  /** The task's id as told; at a look-up by own id that tells none, the own id itself. */
  taskId: string | null
  rateLimit: RateLimit | null
}

/** A task of ours by its own id, and the create it was made by, where that can be told. */
export interface OwnTask {
  ownId: string
  request: CreateRequest | null
}

/** Spends money. */
export interface Submitter {
  create(account: Account, request: CreateRequest, control?: Control): Promise<CreateAnswer>
}

/** Asks, and may ask again. */
export interface TaskReader {
  /**
   * What `get` is given for a task of this create that somebody else named; null: it is not known.
   */
  handleOf(taskId: string, request: CreateRequest): string | null
  /** By the provider's task id. */
  get(account: Account, taskId: string, control?: Control): Promise<Found>
  /** By own id; only where `can.findByOwnId`. */
  find(account: Account, asked: OwnTask, control?: Control): Promise<Found>
  /**
   * How many tasks one query of this account may ask for; 1 where it can only be asked one by one.
   */
  mostAtOnce(account: Account): number
  /**
   * Answers in the order of the task ids, by one query. Null for what that left out: it is to be
   * asked alone, within the account's budget.
   */
  getMany(
    account: Account,
    taskIds: string[],
    control?: Control,
  ): Promise<{ answers: (TaskAnswer | null)[]; rateLimit: RateLimit | null }>
}

/** Finds what became of a create in the provider's list; only where `can.listMs`. */
export interface Searcher {
  search(account: Account, lost: Lost, control?: Control): Promise<Searched>
}

/** Asks the provider to stop a task; only where `can.cancel`. May be asked again. */
export interface Canceller {
  cancel(account: Account, taskId: string, control?: Control): Promise<CancelAnswer>
}

/** What fetches a link of a finished task. */
export interface LinkOpener {
  /**
   * Headers to fetch it with, empty where it needs none; to be sent to its own host and no other.
   * Null: the credentials could not be had just now.
   */
  linkHeaders(account: Account, link: string): Promise<Record<string, string> | null>
}

export interface Declared {
  readonly name: string
  readonly can: {
    findByOwnId: boolean
    /** A second create under the same own id makes no second task, for so long. */
    repeatMs?: number | undefined
    /** How far back its list reaches. */
    listMs?: number | undefined
    /** It may leave out a task, and so proves no absence. */
    listMayLack?: boolean | undefined
    cancel: 'any' | 'queued' | false
  }
  /** Where a lost create can be recovered, see recovery.ts; absent: everywhere. */
  readonly recoveryHosts?: readonly string[] | null | undefined
  /**
   * Milliseconds after which a task is called overdue, and after which it can no longer deliver.
   */
  readonly expectedMs: number
  readonly resultLifeMs: number
  readonly budgets?: Budgets | undefined
}

export interface Provider
  extends Declared, Submitter, TaskReader, Searcher, Canceller, LinkOpener, AsyncDisposable {}
