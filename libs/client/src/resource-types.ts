/** What the calls of resources.ts take and answer. Instants are ISO 8601 UTC. */
import type { GenerateVideo, SceneVideo } from './types.ts'

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
export interface ProjectRecord {
  id: string
  title: string
  createdAt: string
  archivedAt?: string | null
}
export interface Script extends ProjectRecord {
  projectId: string
}
export interface NewScene {
  title?: string | null | undefined
  prompt: string
}
export interface Scene {
  id: string
  scriptId: string
  title: string | null
  prompt: string
  createdAt: string
  archivedAt?: string | null
  newestVideo?: SceneVideo | null
}
export interface GenerateVideos extends GenerateVideo {
  /** `missing`: scenes without a video; that is the default. */
  only?: 'missing' | 'all' | undefined
  /** Tells what it would do, and does nothing. */
  dryRun?: boolean | undefined
}
export interface GeneratedVideos {
  data: SceneVideo[]
}

export interface NewAiConfig {
  provider: string
  model?: string | undefined
  baseUrl?: string | undefined
  apiKey?: string | undefined
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
  scopes: Scope[]
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
}

export interface Me {
  userId: string
  name: string | null
  key: { id: string; name: string | null; scopes: string[] } | null
  version: string
  features: string[]
}
export interface Model {
  provider: string
  model: string
  durations: number[] | null
  aspectRatios: string[] | null
  resolutions: string[] | null
  inputs: unknown
  guarantee: 'proven' | 'by_key' | 'by_match' | 'none'
}
/** One send to a provider, and what became of it. */
export interface Submission {
  attempt: number
  [fact: string]: unknown
}
export interface Upload {
  id: string
  bytes: number
  type: string
}

export type BulkFilter = Record<string, string | string[] | undefined>
export type NewBulkAction = { action: 'retry' | 'cancel'; dryRun?: boolean | undefined } & (
  { ids: string[] } | { filter: BulkFilter }
)
export interface BulkAction {
  id: string
  status: string
  counts: Record<string, number>
  /** What it costs: results that are there, tasks that run, new creates, and what has to wait. */
  cost: { late: number; adopted: number; creates: number; waiting: number }
}
export interface BulkResult {
  videoId?: string
  [fact: string]: unknown
}
