/**
 * Videos as they change: by a stream, resumed where it broke; by asking, while no stream is to be
 * had.
 *
 * What is yielded is always newer than what was yielded before for that video; after a gap versions
 * may be skipped, never the newest. It ends when the one watched video has ended or the signal
 * aborts, and throws only what asking again cannot mend: a wrong key, a video that is not there.
 *
 * A snapshot's id is resumed from only after a change came behind it: a stream that breaks within
 * its snapshot begins anew.
 */
import { ReelkeeperError } from './errors.ts'
import type { Http } from './http.ts'
import { backoffMs, wait } from './wait.ts'
import { isEnded, type ListFilter, type Page, type SceneVideo } from './types.ts'

/** One video, a project's, or with neither all that the key may see. */
export interface Target {
  videoId?: string | undefined
  projectId?: string | undefined
}

interface Call {
  signal: AbortSignal
}

/** What a watch asks while no stream is to be had. */
export interface Api {
  get(id: string, options: Call): Promise<SceneVideo>
  list(filter: ListFilter, options: Call): AsyncIterable<SceneVideo>
  page(filter: ListFilter, options: Call): Promise<Page>
}

const mostRemembered = 50_000
/** A stream that breaks sooner counts as a failed one. */
const shortMs = 3_000

/** Of the stream that tells of them. */
export const streamPath = ({ videoId, projectId }: Target) =>
  videoId
    ? `/api/scene-videos/${encodeURIComponent(videoId)}/events`
    : `/api/events${projectId ? `?projectId=${encodeURIComponent(projectId)}` : ''}`

export class Watch {
  readonly #api: Api
  readonly #http: Http
  readonly #target: Target
  readonly #signal: AbortSignal
  readonly #seen = new Map<string, { version: number; isEnded: boolean }>()
  /** Ids are UUIDv7: what is newer sorts behind. */
  #newestId: string | undefined
  #lastEventId = ''
  #failures = 0
  /** The gateway's last hint when to return. */
  #retryMs: number | undefined

  constructor(api: Api, http: Http, target: Target, signal: AbortSignal) {
    this.#api = api
    this.#http = http
    this.#target = target
    this.#signal = signal
  }

  async *changes(): AsyncGenerator<SceneVideo> {
    for (let isFirst = true; !this.#isOver(); isFirst = false) {
      yield* this.#streaming(isFirst)
      yield* this.#waiting()
    }
  }

  #isOver(): boolean {
    return (
      this.#signal.aborted ||
      (this.#target.videoId !== undefined && this.#seen.get(this.#target.videoId)?.isEnded === true)
    )
  }

  /** Until the stream breaks. */
  async *#streaming(isFirst: boolean): AsyncGenerator<SceneVideo> {
    const isResumed = this.#lastEventId !== ''
    // A stream that begins anew does not tell what ended long ago. One resumed after failures may
    // be of a store that has gone back, and miss something.
    let owesRound = !isFirst && (!isResumed || this.#failures > 0)
    let openedAt = Number.POSITIVE_INFINITY
    try {
      for await (const message of this.#http.stream(
        streamPath(this.#target),
        this.#lastEventId,
        this.#signal,
      )) {
        if (message === 'open') {
          openedAt = performance.now()
        } else if ('retryMs' in message) {
          this.#retryMs = message.retryMs
        } else {
          const isSnapshot = message.event === 'snapshot'
          owesRound ||= isSnapshot && isResumed
          if (!isSnapshot) this.#lastEventId = message.id
          yield* this.#news([JSON.parse(message.data) as SceneVideo])
        }
        if (owesRound) owesRound = !(yield* this.#round())
        if (this.#isOver()) return
      }
    } catch (err) {
      this.#leave(err, true)
    }
    this.#failures = performance.now() - openedAt > shortMs ? 0 : this.#failures + 1
  }

  /** The time to the next try; while streams fail, with questions instead. */
  async *#waiting(): AsyncGenerator<SceneVideo> {
    let left = this.#waitMs()
    const { pollMs = 5_000 } = this.#http.options
    while (left > 0 && !this.#isOver()) {
      if (this.#failures > 0) yield* this.#round()
      if (this.#isOver()) return
      await wait(Math.min(left, pollMs), this.#signal).catch(() => {})
      left -= pollMs
    }
  }

  /** As the gateway asked, which spreads its readers out; longer when streams go on failing. */
  #waitMs(): number {
    if (this.#retryMs === undefined) return backoffMs(this.#failures)
    return this.#failures > 1 ? Math.max(this.#retryMs, backoffMs(this.#failures)) : this.#retryMs
  }

  /**
   * Throws what cannot be mended. A token may be good for streams only: then a question's refusal
   * says nothing.
   */
  #leave(err: unknown, isStream: boolean): void {
    if (this.#signal.aborted) return
    const { apiKey, token } = this.#http.options
    const saysNothing = !isStream && token !== undefined && apiKey === undefined
    if (err instanceof ReelkeeperError && (!err.isFinal || saysNothing)) return
    throw err
  }

  /** Asks once for everything that may have changed; whether that went well. */
  async *#round(): AsyncGenerator<SceneVideo, boolean> {
    try {
      yield* this.#target.videoId
        ? this.#news([await this.#api.get(this.#target.videoId, { signal: this.#signal })])
        : this.#everyNews()
      return true
    } catch (err) {
      this.#leave(err, false)
      return false
    }
  }

  /** Open ones, those that were open, and new ones that have ended already. */
  async *#everyNews(): AsyncGenerator<SceneVideo> {
    const { projectId } = this.#target
    const options = { signal: this.#signal }
    const since = this.#newestId
    const open = new Set<string>()
    for (const status of ['pending', 'generating'] as const) {
      for await (const video of this.#api.list({ projectId, status }, options)) {
        open.add(video.id)
        yield* this.#news([video])
      }
    }
    const gone = [...this.#seen].filter(([id, { isEnded }]) => !isEnded && !open.has(id))
    for (const [id] of gone) yield* this.#news([await this.#api.get(id, options)])
    const { data } = await this.#api.page({ projectId }, options)
    if (since === undefined) this.#newestId ??= data[0]?.id ?? ''
    else yield* this.#news(data.filter((video) => video.id > since))
  }

  *#news(videos: SceneVideo[]): Generator<SceneVideo> {
    for (const video of videos) {
      if (video.id > (this.#newestId ?? '')) this.#newestId = video.id
      if ((this.#seen.get(video.id)?.version ?? 0) >= video.version) continue
      this.#seen.delete(video.id)
      this.#seen.set(video.id, { version: video.version, isEnded: isEnded(video) })
      if (this.#seen.size > mostRemembered) this.#seen.delete(this.#seen.keys().next().value!)
      yield video
    }
  }
}
