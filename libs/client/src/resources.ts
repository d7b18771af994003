/**
 * Everything but videos: projects with their scripts and scenes, accounts, keys, tokens, and acts
 * on many videos at once. Reads are sent again when they fail; what makes something is sent again
 * under one Idempotency-Key where the gateway takes one, and only once elsewhere.
 */
import type { Http } from './http.ts'
import type * as T from './resource-types.ts'

export interface CallOptions {
  signal?: AbortSignal | undefined
}
export interface PageOptions extends CallOptions {
  limit?: number | undefined
  after?: string | undefined
}
export interface WaitOptions extends CallOptions {
  /** Answer when the video has ended, or after so many seconds, 60 at most. */
  waitSeconds?: number | undefined
}
/** Of what may be archived: that, or what is in use. */
export interface PartsOptions extends PageOptions {
  archived?: boolean | undefined
}
export interface KeyedOptions extends CallOptions {
  idempotencyKey?: string | undefined
}

/** A path of these pieces, each encoded. */
export const pathOf = (...pieces: string[]): string =>
  `/api/${pieces.map(encodeURIComponent).join('/')}`

/** `?a=1&b=2&b=3&c.d=4`; undefined ones are left out. */
export function queryOf(values: object): string {
  const query = new URLSearchParams()
  const add = (name: string, value: unknown): void => {
    if (Array.isArray(value)) for (const one of value) add(name, one)
    else if (typeof value === 'object' && value !== null)
      for (const [key, one] of Object.entries(value)) add(`${name}.${key}`, one)
    else if (value !== undefined && value !== null) query.append(name, String(value as string))
  }
  for (const [name, value] of Object.entries(values)) add(name, value)
  return query.size > 0 ? `?${query.toString()}` : ''
}

/** Not crypto.randomUUID: a page served without TLS has none. */
export const randomKey = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')

/** Sent again under one key, and carried out once. */
export function keyed<R>(
  http: Http,
  path: string,
  body: unknown,
  { idempotencyKey = randomKey(), signal, waitSeconds }: KeyedOptions & WaitOptions = {},
): Promise<R> {
  const headers = { 'idempotency-key': idempotencyKey }
  return http.send('POST', path, { body, headers, signal, waitSeconds, repeatable: true })
}

export class Calls {
  protected readonly http: Http
  constructor(http: Http) {
    this.http = http
  }

  protected read<R>(path: string, { signal }: CallOptions = {}): Promise<R> {
    return this.http.send('GET', path, { signal, repeatable: true })
  }
  /** What may be sent twice: it sets something, or the gateway keeps it to one. */
  protected set<R>(method: string, path: string, body: unknown, o: CallOptions = {}): Promise<R> {
    return this.http.send(method, path, { body, signal: o.signal, repeatable: true })
  }
  protected once<R>(path: string, body: unknown, { signal }: CallOptions = {}): Promise<R> {
    return this.http.send('POST', path, { body, signal })
  }
  protected keyed<R>(path: string, body: unknown, o?: KeyedOptions): Promise<R> {
    return keyed(this.http, path, body, o)
  }
}

export class Projects extends Calls {
  create(body: { title: string }, o?: KeyedOptions): Promise<T.ProjectRecord> {
    return this.keyed('/api/projects', body, o)
  }
  /** Newest first. */
  page(o: PartsOptions = {}): Promise<T.Listed<T.ProjectRecord>> {
    const { signal, ...query } = o
    return this.read(`/api/projects${queryOf(query)}`, { signal })
  }
  update(id: string, body: T.ProjectChanges, o?: CallOptions): Promise<T.ProjectRecord> {
    return this.set('PATCH', pathOf('projects', id), body, o)
  }
  archive(id: string, o?: CallOptions): Promise<T.ProjectRecord> {
    return this.set('POST', pathOf('projects', id, 'archive'), undefined, o)
  }
  restore(id: string, o?: CallOptions): Promise<T.ProjectRecord> {
    return this.set('POST', pathOf('projects', id, 'restore'), undefined, o)
  }
  /** Erases an archived project: prompts, links, metadata and files. */
  delete(id: string, o?: CallOptions): Promise<void> {
    return this.set('DELETE', pathOf('projects', id), undefined, o)
  }
  /** A new attempt for what failed in it, or with `dryRun` what that would cost. */
  retryFailed(id: string, body: T.RetryFailed = {}, o?: KeyedOptions): Promise<T.RetriedVideos> {
    return this.keyed(pathOf('projects', id, 'retry-failed'), body, o)
  }
}

const scriptPath = (at: T.ScriptPath, ...rest: string[]) =>
  pathOf('projects', at.projectId, 'scripts', at.scriptId, ...rest)

export class Scripts extends Calls {
  create(projectId: string, body: { title: string }, o?: KeyedOptions): Promise<T.Script> {
    return this.keyed(pathOf('projects', projectId, 'scripts'), body, o)
  }
  page(projectId: string, o: PartsOptions = {}): Promise<T.Listed<T.Script>> {
    const { signal, ...query } = o
    return this.read(pathOf('projects', projectId, 'scripts') + queryOf(query), { signal })
  }
  get({ projectId, scriptId }: T.ScriptPath, o?: CallOptions): Promise<T.Script> {
    return this.read(scriptPath({ projectId, scriptId }), o)
  }
  update(at: T.ScriptPath, body: { title: string }, o?: CallOptions): Promise<T.Script> {
    return this.set('PATCH', scriptPath(at), body, o)
  }
  archive(at: T.ScriptPath, o?: CallOptions): Promise<T.Script> {
    return this.set('POST', scriptPath(at, 'archive'), undefined, o)
  }
  restore(at: T.ScriptPath, o?: CallOptions): Promise<T.Script> {
    return this.set('POST', scriptPath(at, 'restore'), undefined, o)
  }
  /** Erases an archived script with its videos. */
  delete(at: T.ScriptPath, o?: CallOptions): Promise<void> {
    return this.set('DELETE', scriptPath(at), undefined, o)
  }
  /** A video for each scene that has none, or for all of them. */
  generateVideos(
    { projectId, scriptId }: T.ScriptPath,
    body: T.GenerateVideos = {},
    o?: KeyedOptions,
  ): Promise<T.GeneratedVideos> {
    return this.keyed(scriptPath({ projectId, scriptId }, 'generate-videos'), body, o)
  }
}

export type ScenePlace = T.ScriptPath & { sceneId: string }
const scenePath = (at: T.ScriptPath, ...rest: string[]) => scriptPath(at, 'scenes', ...rest)

export class Scenes extends Calls {
  create(at: T.ScriptPath, body: T.NewScene, o?: KeyedOptions): Promise<T.Scene> {
    return this.keyed(scenePath(at), body, o)
  }
  /** Each with its newest video. */
  page(at: T.ScriptPath, o: PartsOptions = {}): Promise<T.Listed<T.Scene>> {
    const { signal, ...query } = o
    return this.read(scenePath(at) + queryOf(query), { signal })
  }
  get(at: ScenePlace, o?: CallOptions): Promise<T.Scene> {
    return this.read(scenePath(at, at.sceneId), o)
  }
  update(at: ScenePlace, body: Partial<T.NewScene>, o?: CallOptions): Promise<T.Scene> {
    return this.set('PATCH', scenePath(at, at.sceneId), body, o)
  }
  archive(at: ScenePlace, o?: CallOptions): Promise<T.Scene> {
    return this.set('POST', scenePath(at, at.sceneId, 'archive'), undefined, o)
  }
  restore(at: ScenePlace, o?: CallOptions): Promise<T.Scene> {
    return this.set('POST', scenePath(at, at.sceneId, 'restore'), undefined, o)
  }
  /** Erases an archived scene with its videos. */
  delete(at: ScenePlace, o?: CallOptions): Promise<void> {
    return this.set('DELETE', scenePath(at, at.sceneId), undefined, o)
  }
}

/** Of one project, or without an id the user's own. */
export class AiConfigs extends Calls {
  #path(projectId: string | undefined, ...rest: string[]) {
    return projectId === undefined
      ? pathOf('me', 'ai-config', ...rest)
      : pathOf('projects', projectId, 'ai-config', ...rest)
  }
  /** The one that counts: the project's, else the user's, else the system's. */
  get(projectId?: string, o?: CallOptions): Promise<T.AiConfig> {
    return this.read(this.#path(projectId), o)
  }
  put(body: T.NewAiConfig, projectId?: string, o?: CallOptions): Promise<T.AiConfig> {
    return this.set('PUT', this.#path(projectId), body, o)
  }
  delete(projectId?: string, o?: CallOptions): Promise<void> {
    return this.set('DELETE', this.#path(projectId), undefined, o)
  }
  /** Asks the provider for a task that does not exist; costs nothing. */
  test(projectId?: string, o?: CallOptions): Promise<T.AiConfigTest> {
    return this.set('POST', this.#path(projectId, 'test'), undefined, o)
  }
}

export class ApiKeys extends Calls {
  /** The answer alone tells the key. */
  create(body: { name?: string; scopes?: T.Scope[] } = {}, o?: CallOptions): Promise<T.NewApiKey> {
    return this.once('/api/api-keys', body, o)
  }
  async list(o?: CallOptions): Promise<T.ApiKey[]> {
    return (await this.read<{ data: T.ApiKey[] }>('/api/api-keys', o)).data
  }
  revoke(id: string, o?: CallOptions): Promise<void> {
    return this.set('DELETE', pathOf('api-keys', id), undefined, o)
  }
}

export class BulkActions extends Calls {
  create(body: T.NewBulkAction, o?: KeyedOptions): Promise<T.BulkAction> {
    return this.keyed('/api/bulk-actions', body, o)
  }
  get(id: string, o?: CallOptions): Promise<T.BulkAction> {
    return this.read(pathOf('bulk-actions', id), o)
  }
  results(id: string, o: PageOptions = {}): Promise<T.Listed<T.BulkResult>> {
    const { signal, ...query } = o
    return this.read(pathOf('bulk-actions', id, 'results') + queryOf(query), { signal })
  }
  abort(id: string, o?: CallOptions): Promise<T.BulkAction> {
    return this.set('POST', pathOf('bulk-actions', id, 'abort'), undefined, o)
  }
}

/** Who one is, what one may use, and how it went. */
export class Account extends Calls {
  me(o?: CallOptions): Promise<T.Me> {
    return this.read('/api/me', o)
  }
  limits(o?: CallOptions): Promise<T.Limits> {
    return this.read('/api/me/limits', o)
  }
  async models(o?: CallOptions): Promise<T.Model[]> {
    return (await this.read<{ data: T.Model[] }>('/api/models', o)).data
  }
  /** Counts, and times to the outcome, between two instants. */
  stats(query: T.StatsQuery = {}, o?: CallOptions): Promise<T.Stats> {
    return this.read(`/api/stats${queryOf(query)}`, o)
  }
  /** An image; its id goes into a submission. Sent once. */
  upload(image: Blob, o?: CallOptions): Promise<T.Upload> {
    return this.once('/api/uploads', image, o)
  }
}
