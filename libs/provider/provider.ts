/**
 * The port to a provider. `create` spends money and is sent once per intent; everything else may be
 * repeated. An adapter never guesses: what it does not recognise is `unknown`, with the body.
 */
import type { VideoError } from '#libs/scene-video/scene-video.ts'

/**
 * Where, and as whom. Both come from the intent, so a later change of configuration moves no
 * running task.
 */
export interface Account {
  baseUrl: string
  apiKey: string
}

export interface CreateRequest {
  ownId: string
  model: string
  prompt: string
  durationSeconds?: number
  aspectRatio?: string
  resolution?: string
  imageUrls?: string[]
  metadata?: Record<string, unknown>
}

/** What the provider said of its rate limit on this answer, if anything. */
export interface RateLimit {
  remaining: number
  /** Milliseconds until it is full again. */
  resetMs: number
}

export type CreateAnswer =
  | { kind: 'accepted'; taskId: string }
  | { kind: 'refused'; error: VideoError }
  /** Not accepted, but may be later. */
  | { kind: 'later'; retryAfterMs: number | null; reason: string }
  /** It may or may not have been accepted. */
  | { kind: 'unknown'; reason: string }

export type TaskAnswer =
  | { kind: 'working'; phase: 'queued' | 'running'; progress: number | null }
  | { kind: 'done'; videoUrl: string; expiresAt: string | null }
  | { kind: 'failed'; error: VideoError }
  /** Asked to wait: over a rate limit, or temporarily unavailable by its own word. */
  | { kind: 'later'; retryAfterMs: number | null }
  /** The provider's own "no such task". */
  | { kind: 'missing' }
  /** No usable answer: network, time-out, 5xx, a body that cannot be read, a key not accepted. */
  | { kind: 'none'; reason: string }
  /** Readable, but not in words we know. */
  | { kind: 'unknown'; body: string }

export interface Provider extends AsyncDisposable {
  readonly name: string
  readonly can: { findByOwnId: boolean; cancel: boolean }
  /**
   * Milliseconds after which a task is called overdue, and after which it can no longer deliver.
   */
  readonly expectedMs: number
  readonly resultLifeMs: number
  create(account: Account, request: CreateRequest): Promise<CreateAnswer>
  /** By the provider's task id, or, where it can, by own id. */
  get(
    account: Account,
    id: string,
  ): Promise<{ answer: TaskAnswer; taskId: string | null; rateLimit: RateLimit | null }>
  /**
   * How many tasks one query of this account may ask for; 1 where it can only be asked one by one.
   */
  mostAtOnce(account: Account): number
  /**
   * Answers in the order of the task ids, by one query. What that leaves open is asked one by one.
   */
  getMany(
    account: Account,
    taskIds: string[],
  ): Promise<{ answers: TaskAnswer[]; rateLimit: RateLimit | null }>
}
