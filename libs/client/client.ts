/**
 * Reelkeeper from a browser or from Node, without a dependency.
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
import type {
  GenerateVideo,
  ListFilter,
  Page,
  Project,
  ScenePath,
  SceneVideo,
  TimelineEntry,
} from './types.ts'
import { Watch, type Target } from './watch.ts'

export { ReelkeeperError } from './errors.ts'
export type { Options } from './http.ts'
export * from './types.ts'
export type { Target } from './watch.ts'

export interface CallOptions {
  signal?: AbortSignal | undefined
}

/** A video, or its id: then the attempt that is current when the call is made. */
export type VideoRef = string | Pick<SceneVideo, 'id' | 'attempt'>

const videoPath = (id: string, rest = '') => `/api/scene-videos/${encodeURIComponent(id)}${rest}`
const projectPath = (id: string, rest = '') => `/api/projects/${encodeURIComponent(id)}${rest}`

export class Reelkeeper {
  readonly #http: Http

  constructor(options: Options) {
    this.#http = new Http(options)
  }

  async generateVideo(
    scene: ScenePath,
    body: GenerateVideo = {},
    {
      idempotencyKey = randomKey(),
      signal,
    }: CallOptions & { idempotencyKey?: string | undefined } = {},
  ): Promise<SceneVideo> {
    const path = projectPath(
      scene.projectId,
      `/scripts/${encodeURIComponent(scene.scriptId)}/scenes/${encodeURIComponent(scene.sceneId)}/generate-video`,
    )
    return this.#http.send('POST', path, {
      body,
      headers: { 'idempotency-key': idempotencyKey },
      signal,
      repeatable: true,
    })
  }

  async get(id: string, { signal }: CallOptions = {}): Promise<SceneVideo> {
    return this.#http.send('GET', videoPath(id), { signal, repeatable: true })
  }

  async page(
    filter: ListFilter = {},
    {
      signal,
      limit = 100,
      after,
    }: CallOptions & { limit?: number; after?: string | undefined } = {},
  ): Promise<Page> {
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries({ ...filter, limit, after }))
      if (value !== undefined) query.set(name, String(value))
    return this.#http.send('GET', `/api/scene-videos?${query.toString()}`, {
      signal,
      repeatable: true,
    })
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

  /** What happened to a video, oldest first. */
  async timeline(id: string, { signal }: CallOptions = {}): Promise<TimelineEntry[]> {
    return (
      await this.#http.send<{ data: TimelineEntry[] }>('GET', videoPath(id, '/timeline'), {
        signal,
        repeatable: true,
      })
    ).data
  }

  async cancel(video: VideoRef, { signal }: CallOptions = {}): Promise<SceneVideo> {
    const { id, attempt } = await this.#attemptOf(video, signal)
    return this.#http.send('POST', videoPath(id, '/cancel'), {
      body: { attempt },
      signal,
      repeatable: true,
    })
  }

  /** Opens the attempt after the given one; if somebody did already, that one is the answer. */
  async retry(video: VideoRef, { signal }: CallOptions = {}): Promise<SceneVideo> {
    const { id, attempt } = await this.#attemptOf(video, signal)
    try {
      return await this.#http.send('POST', videoPath(id, '/retry'), {
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
   * A new attempt for every failed video of a project. Sent once: what fails meanwhile is not for
   * an earlier call to retry.
   */
  async retryFailed(projectId: string, { signal }: CallOptions = {}): Promise<SceneVideo[]> {
    return (
      await this.#http.send<{ data: SceneVideo[] }>(
        'POST',
        projectPath(projectId, '/retry-failed'),
        { signal },
      )
    ).data
  }

  async project(id: string, { signal }: CallOptions = {}): Promise<Project> {
    return this.#http.send('GET', projectPath(id), { signal, repeatable: true })
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

  async #attemptOf(
    video: VideoRef,
    signal: AbortSignal | undefined,
  ): Promise<Pick<SceneVideo, 'id' | 'attempt'>> {
    return typeof video === 'string' ? this.get(video, { signal }) : video
  }
}

/** Not crypto.randomUUID: a page served without TLS has none. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}
