/**
 * One stream for all components that look at the same videos. It opens with the first and closes
 * with the last of them; after an error it stays closed until `restart`.
 */
import type { Reelkeeper } from './client.ts'
import type { SceneVideo } from './types.ts'

/** A project's videos, or with nothing all one may see. */
export interface SharedTarget {
  projectId?: string | undefined
}

interface State {
  loading: boolean
  videos: readonly SceneVideo[]
  error: Error | null
}

/** A component that is mounted again at once finds the stream still open. */
const lingerMs = 200
/** A stream of a project without videos says nothing. */
const silentMs = 3_000

export class SharedWatch {
  readonly #client: Reelkeeper
  readonly #target: SharedTarget
  readonly #listeners = new Set<() => void>()
  readonly #videos = new Map<string, SceneVideo>()
  readonly #missing = new Map<string, Error>()
  readonly #asked = new Set<string>()
  #stop: AbortController | undefined
  #isTelling = false
  state: State = { loading: true, videos: [], error: null }

  constructor(client: Reelkeeper, target: SharedTarget) {
    this.#client = client
    this.#target = target
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (!this.#stop) this.#start()
    return () => {
      this.#listeners.delete(listener)
      setTimeout(() => {
        if (this.#listeners.size > 0) return
        this.#stop?.abort()
        this.#stop = undefined
      }, lingerMs)
    }
  }

  find(id: string): SceneVideo | null {
    return this.#videos.get(id) ?? null
  }

  /** Why a wanted video cannot be shown. */
  missing(id: string): Error | null {
    return this.#missing.get(id) ?? null
  }

  /** Asks once for a video that the stream may not tell of, as it ended long ago. */
  want(id: string): void {
    if (this.#videos.has(id) || this.#asked.has(id)) return
    this.#asked.add(id)
    this.#client.get(id).then(
      (video) => this.#take(video),
      (error: Error) => {
        this.#asked.delete(id)
        this.#missing.set(id, error)
        this.#tell({})
      },
    )
  }

  restart(): void {
    this.#stop?.abort()
    this.#missing.clear()
    this.#asked.clear()
    this.#start()
  }

  #start(): void {
    const stop = new AbortController()
    this.#stop = stop
    this.#tell({ error: null })
    const follow = async () => {
      for await (const video of this.#client.watch(this.#target, { signal: stop.signal }))
        this.#take(video)
    }
    const silent = setTimeout(() => this.#tell({}, false), silentMs)
    follow()
      .catch((error: Error) => {
        if (!stop.signal.aborted) this.#tell({ error }, false)
      })
      .finally(() => clearTimeout(silent))
  }

  #take(video: SceneVideo): void {
    if ((this.#videos.get(video.id)?.version ?? 0) >= video.version) return
    this.#videos.set(video.id, video)
    this.#missing.delete(video.id)
    if (this.#isTelling) return
    // A snapshot of many videos is one rendering.
    this.#isTelling = true
    queueMicrotask(() => {
      this.#isTelling = false
      this.#tell({}, false)
    })
  }

  #tell(change: Partial<State>, loading = this.state.loading): void {
    const videos = [...this.#videos.values()].sort((a, b) => (a.id < b.id ? 1 : -1))
    this.state = { ...this.state, ...change, videos, loading }
    for (const listener of this.#listeners) listener()
  }
}

const shared = new WeakMap<Reelkeeper, Map<string, SharedWatch>>()

/** The one of this client for this target. */
export function sharedWatch(client: Reelkeeper, target: SharedTarget): SharedWatch {
  const ofClient = shared.get(client) ?? new Map<string, SharedWatch>()
  shared.set(client, ofClient)
  const key = target.projectId ?? ''
  const found = ofClient.get(key) ?? new SharedWatch(client, target)
  ofClient.set(key, found)
  return found
}
