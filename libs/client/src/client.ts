/**
 * Reelkeeper from a browser or from Node, without a dependency to install.
 *
 * const reelkeeper = new Reelkeeper({ baseUrl, apiKey })
 * const { id } = await reelkeeper.generateVideo({ projectId, scriptId, sceneId }, { prompt: 'a
 * lighthouse in a storm' })
 * for await (const video of reelkeeper.watch({ videoId: id })) show(video)
 *
 * Every call may be repeated without paying twice: `generateVideo` sends one Idempotency-Key on all
 * its tries, `cancel` and `retry` carry the attempt they mean. Whoever may have to repeat a
 * submission after a crash of their own gives their own key. Throws ReelkeeperError, or the reason
 * of an aborted signal; `watch` just ends when aborted.
 */
import { ReelkeeperError } from './errors.ts'
import { Http, type Options } from './http.ts'
import { allPages } from './pages.ts'
import type * as R from './resource-types.ts'
import {
  Account,
  AiConfigs,
  ApiKeys,
  BulkActions,
  keyed,
  pathOf,
  Projects,
  queryOf,
  Scenes,
  Scripts,
  type CallOptions,
  type KeyedOptions,
  type PageOptions,
  type WaitOptions,
} from './resources.ts'
import type {
  GenerateVideo,
  ListFilter,
  Page,
  Project,
  ScenePath,
  SceneVideo,
  TimelineEntry,
} from './types.ts'
import { streamPath, Watch, type Target } from './watch.ts'

export { ReelkeeperError } from './errors.ts'
export type { Options } from './http.ts'
export type {
  CallOptions,
  KeyedOptions,
  PageOptions,
  PartsOptions,
  ScenePlace,
  WaitOptions,
} from './resources.ts'
export type { Token, TokenSource } from './token.ts'
export type * from './resource-types.ts'
export * from './types.ts'
export type { Target } from './watch.ts'

type CountFilter = Omit<ListFilter, 'order'>
/** A video, or its id: then the attempt that is current when the call is made. */
export type VideoRef = string | Pick<SceneVideo, 'id' | 'attempt'>

export class Reelkeeper {
  readonly #http: Http
  readonly projects: Projects
  readonly scripts: Scripts
  readonly scenes: Scenes
  readonly aiConfigs: AiConfigs
  readonly apiKeys: ApiKeys
  readonly bulkActions: BulkActions
  readonly account: Account

  constructor(options: Options) {
    this.#http = new Http(options)
    this.projects = new Projects(this.#http)
    this.scripts = new Scripts(this.#http)
    this.scenes = new Scenes(this.#http)
    this.aiConfigs = new AiConfigs(this.#http)
    this.apiKeys = new ApiKeys(this.#http)
    this.bulkActions = new BulkActions(this.#http)
    this.account = new Account(this.#http)
  }

  async generateVideo(
    { projectId, scriptId, sceneId }: ScenePath,
    body: GenerateVideo = {},
    options?: KeyedOptions & WaitOptions,
  ): Promise<SceneVideo> {
    const rest = ['scripts', scriptId, 'scenes', sceneId, 'generate-video']
    return keyed(this.#http, pathOf('projects', projectId, ...rest), body, options)
  }

  /** A video in the user's own project, for whoever keeps no scripts and scenes. */
  async create(
    body: GenerateVideo & { prompt: string },
    options?: KeyedOptions & WaitOptions,
  ): Promise<SceneVideo> {
    return keyed(this.#http, '/api/videos', body, options)
  }

  async get(id: string, options?: WaitOptions): Promise<SceneVideo> {
    return this.#read(pathOf('scene-videos', id), options)
  }

  async page(
    filter: ListFilter = {},
    { signal, limit = 100, after }: PageOptions = {},
  ): Promise<Page> {
    return this.#read(`/api/scene-videos${queryOf({ ...filter, limit, after })}`, { signal })
  }

  /** All of them, newest first; pages are read as they are needed. */
  async *list(
    filter: ListFilter = {},
    options: CallOptions & { limit?: number } = {},
  ): AsyncGenerator<SceneVideo> {
    let after: string | undefined
    do {
      const page = await this.page(filter, { ...options, after })
      yield* page.data
      after = page.next ?? undefined
    } while (after !== undefined)
  }

  /** What happened to a video, oldest first; with `snapshots`, how it was recorded each time. */
  async timeline(
    id: string,
    { signal, snapshots }: CallOptions & { snapshots?: boolean } = {},
  ): Promise<TimelineEntry[]> {
    const path = pathOf('scene-videos', id, 'timeline')
    return allPages((after) => this.#read(path + queryOf({ snapshots, after }), { signal }))
  }

  async cancel(video: VideoRef, { signal }: CallOptions = {}): Promise<SceneVideo> {
    const { id, attempt } = await this.#attemptOf(video, signal)
    return this.#http.send('POST', pathOf('scene-videos', id, 'cancel'), {
      body: { attempt },
      signal,
      repeatable: true,
    })
  }

  /** Opens the attempt after the given one; if somebody did already, that one is the answer. */
  async retry(video: VideoRef, { signal }: CallOptions = {}): Promise<SceneVideo> {
    const { id, attempt } = await this.#attemptOf(video, signal)
    try {
      return await this.#http.send('POST', pathOf('scene-videos', id, 'retry'), {
        body: { attempt },
        signal,
        repeatable: true,
      })
    } catch (err) {
      if (!(err instanceof ReelkeeperError) || err.status !== 409) throw err
      const now = await this.get(id, { signal })
      if (now.attempt === attempt + 1) return now
      throw err
    }
  }

  /**
   * A new attempt for what failed in a project, but for what `projects.retryFailed` has to be asked
   * for. Sent once: what fails meanwhile is not for an earlier call to retry.
   */
  async retryFailed(projectId: string, { signal }: CallOptions = {}): Promise<SceneVideo[]> {
    const path = pathOf('projects', projectId, 'retry-failed')
    return (await this.#http.send<{ data: SceneVideo[] }>('POST', path, { signal })).data
  }

  async project(id: string, options?: CallOptions): Promise<Project> {
    return this.#read(pathOf('projects', id), options)
  }

  /** What was sent to the provider, answered, looked up and settled. */
  async submissions(id: string, options?: CallOptions): Promise<R.Submission[]> {
    const path = pathOf('scene-videos', id, 'submissions')
    return allPages((after) => this.#read(path + queryOf({ after }), options))
  }

  /** Erases an ended video: its prompt, links, metadata and file. */
  async delete(id: string, { signal }: CallOptions = {}): Promise<void> {
    await this.#http.send('DELETE', pathOf('scene-videos', id), { signal, repeatable: true })
  }

  /** Whether its file outlives the days that files are kept. */
  async keep(id: string, keep = true, { signal }: CallOptions = {}): Promise<void> {
    const path = pathOf('scene-videos', id, 'keep')
    await this.#http.send('PUT', path, { body: { keep }, signal, repeatable: true })
  }

  async counts(filter: CountFilter = {}, options?: CallOptions): Promise<R.VideoCounts> {
    return this.#read(`/api/scene-videos/counts${queryOf(filter)}`, options)
  }

  /** For a browser: only reads, and only what it names. */
  async streamToken(
    body: R.StreamTokenScope = {},
    { signal }: CallOptions = {},
  ): Promise<R.StreamToken> {
    return this.#http.send('POST', '/api/stream-tokens', { body, signal, repeatable: true })
  }

  /**
   * An address for a native EventSource or a video element, with a fresh token in it. An
   * EventSource does not come back once its token has run out: make a new one, with a new address.
   */
  async streamUrl(target: Target = {}, lastEventId = ''): Promise<string> {
    return this.#http.urlWithToken(
      streamPath(target) + queryOf({ lastEventId: lastEventId || undefined }),
    )
  }
  async fileUrl(id: string): Promise<string> {
    return this.#http.urlWithToken(pathOf('scene-videos', id, 'file'))
  }
  /** Of a picture that the video's `file` tells of, for an image element. */
  async posterUrl(id: string): Promise<string> {
    return this.#http.urlWithToken(pathOf('scene-videos', id, 'poster'))
  }
  async stripUrl(id: string): Promise<string> {
    return this.#http.urlWithToken(pathOf('scene-videos', id, 'strip'))
  }

  /** The newest state first, then every change; see watch.ts. */
  watch(
    target: Target = {},
    { signal = new AbortController().signal }: CallOptions = {},
  ): AsyncGenerator<SceneVideo> {
    return new Watch(
      new Reelkeeper({ ...this.#http.options, retries: 0 }),
      this.#http,
      target,
      signal,
    ).changes()
  }

  #read<A>(path: string, { signal, waitSeconds }: WaitOptions = {}): Promise<A> {
    return this.#http.send('GET', path, { signal, waitSeconds, repeatable: true })
  }

  async #attemptOf(
    video: VideoRef,
    signal: AbortSignal | undefined,
  ): Promise<Pick<SceneVideo, 'id' | 'attempt'>> {
    return typeof video === 'string' ? this.get(video, { signal }) : video
  }
}
