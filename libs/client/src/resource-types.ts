/**
 * What the calls of resources.ts take and answer. Instants are ISO 8601 UTC. As types.ts, held
 * equal to the gateway's schemas by test/client-types.test.ts.
 */
import type { GenerateVideo, Guarantee, ListFilter, SceneVideo, Status } from './types.ts'

export interface Listed<R> {
  data: R[]
  hasMore: boolean
  /** Goes into `after` of the next page. */
  next: string | null
}
export interface ScriptPath {
  projectId: string
  scriptId: string
}
interface Part {
  id: string
  title: string
  createdAt: string
  /** Null: it is in use. */
  archivedAt: string | null
}
/** What a project keeps of its files: days, and bytes of the newest; null: no limit of its own. */
interface FileLimits {
  fileDays: number | null
  fileBytes: number | null
}
export interface ProjectRecord extends Part, FileLimits {}
export type ProjectChanges = { title?: string | undefined } & Partial<FileLimits>
export interface Script extends Part {
  projectId: string
}
export interface NewScene {
  title?: string | null | undefined
  prompt: string
}
export interface Scene {
  id: string
  projectId: string
  scriptId: string
  title: string | null
  prompt: string
  createdAt: string
  archivedAt: string | null
  newestVideo: SceneVideo | null
}
export interface GenerateVideos extends Omit<GenerateVideo, 'prompt'> {
  /** `missing`: scenes without a video, or whose newest one failed; that is the default. */
  only?: 'missing' | 'all' | undefined
  /** Tells what it would do, and does nothing. */
  dryRun?: boolean | undefined
}
export interface GeneratedVideos {
  /** In the order of the scenes; empty in a dry run. */
  data: SceneVideo[]
  sceneIds: string[]
  cost: RetryCost
  dryRun: boolean
}

/** What a retry of many leaves out unless it is asked for. */
export type LeftOut = 'cancelled' | 'content_policy' | 'superseded'
/** What it costs: results that are there, tasks that run, new creates, and what has to wait. */
export interface RetryCost {
  late: number
  adopted: number
  creates: number
  waiting: number
  /** What creates and waiting come to, and how many of them have no price; null without any. */
  price: { amount: number; currency: string; unpriced: number } | null
}
export interface RetryFailed {
  ids?: string[] | undefined
  /** Only those that failed by one of these. */
  codes?: string[] | undefined
  include?: LeftOut[] | undefined
  dryRun?: boolean | undefined
}
export interface RetriedVideos {
  /** As they are now; empty in a dry run. */
  data: SceneVideo[]
  ids: string[]
  cost: RetryCost
  dryRun: boolean
}

export interface NewAiConfig {
  provider: string
  model?: string | null | undefined
  baseUrl?: string | null | undefined
  /** Absent keeps the stored one, null removes it. */
  apiKey?: string | null | undefined
}
export interface AiConfig {
  provider: string
  model: string
  /** Null: the provider's, or the operator's own. */
  baseUrl: string | null
  apiKeyLast4: string | null
  source: 'project' | 'user' | 'system'
}
export interface AiConfigTest {
  ok: boolean
  code: 'ok' | 'no_answer' | 'throttled' | 'unexpected'
  detail: string
  source: 'project' | 'user' | 'system'
}

export type Scope = 'read' | 'write' | 'configure' | 'admin'
export interface ApiKey {
  id: string
  name: string | null
  scopes: (Scope | 'operator')[]
  createdAt: string
  revokedAt: string | null
}
export interface NewApiKey extends ApiKey {
  apiKey: string
}
/** What a token may read; with neither id all that its maker may. */
export interface StreamTokenScope {
  projectId?: string | undefined
  videoId?: string | undefined
  /** 10 to 3600; 300 without it. */
  expiresInSeconds?: number | undefined
}
export interface StreamToken {
  token: string
  expiresAt: string
  expiresInSeconds: number
}

export interface Me {
  userId: string
  name: string | null
  /** Null for a JWT. */
  key: { id: string; name: string | null; scopes: (Scope | 'operator')[] } | null
  scopes: (Scope | 'operator')[]
  /** Of the gateway. */
  version: string
  features: string[]
}
export interface Limit {
  limit: number
  used: number
}
/** Money; a limit of null is none. */
export interface SpendLimit {
  limit: number | null
  used: number
  currency: string
}
export interface Limits {
  requestsPerMinute: Limit
  createsPerMinute: Limit
  createsPerDay: Limit
  openVideos: Limit
  apiKeys: Limit
  spendPerDay: SpendLimit
  spendPerMonth: SpendLimit
  streams: Limit
}
export interface Model {
  provider: string
  model: string
  /** Seconds; null here and below: not known. */
  durations: number[] | null
  aspectRatios: string[] | null
  resolutions: string[] | null
  inputs: ('text' | 'image')[]
  guarantee: Guarantee
  /** What the operator tells of it; null: not known. */
  price: { amount: number; currency: string; per: 'second' | 'video' } | null
}
export interface VideoCounts extends Record<Status, number> {
  total: number
  /** Whether only the newest 50,000 were looked at. */
  isPartial: boolean
}
export interface StatsQuery {
  from?: string | undefined
  to?: string | undefined
  by?: 'all' | 'provider' | 'model' | undefined
}
export interface Stats {
  from: string
  to: string
  data: {
    provider: string | null
    model: string | null
    counts: Record<Status, number>
    errors: Record<string, number>
    /** From the request of an attempt to its completion; null where none completed. */
    seconds: { p50: number; p95: number; p99: number; of: number } | null
  }[]
}
/** One send to a provider, and what became of it. */
export interface Submission {
  attempt: number
  /** Counts from 1 within an attempt. */
  send: number
  ownId: string
  provider: string
  answer: 'accepted' | 'unreadable' | 'refused' | 'later' | 'absent' | 'lost' | null
  detail: string | null
  taskId: string | null
  outcome: string | null
  sentAt: string
  answeredAt: string | null
  lookedUpAt: string | null
  settledAt: string | null
}
export interface Upload {
  id: string
  bytes: number
  type: string
}

export type BulkFilter = Omit<ListFilter, 'order'>
export type NewBulkAction = {
  action: 'retry' | 'cancel'
  include?: LeftOut[] | undefined
  dryRun?: boolean | undefined
} & ({ ids: string[] } | { filter: BulkFilter })
export interface BulkAction {
  /** Null in a dry run. */
  id: string | null
  action: 'retry' | 'cancel'
  status: 'running' | 'done' | 'aborted' | 'dry_run'
  counts: { total: number; todo: number; done: number; refused: number; skipped: number }
  cost: RetryCost
  createdAt: string | null
  endedAt: string | null
}
export interface BulkResult {
  videoId: string
  /** The attempt that was meant. */
  attempt: number
  state: 'todo' | 'done' | 'refused' | 'skipped'
  code: string | null
  detail: string | null
  doneAt: string | null
}
