/** The laws, held against everything that happens. The first breach ends the run. */
import type { VideoRecord } from '#libs/store/submissions.ts'
import { streams } from '#libs/bus/streams.ts'
import type { VideoEvent } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { Broker } from './memory-broker.ts'
import type { Message } from './memory-stream.ts'
import type { MemoryProvider } from './memory-provider.ts'
import type { MemoryStore } from './memory-store.ts'
import type { World } from './world.ts'

export class BrokenLaw extends Error {
  override name = 'BrokenLaw'
}

/** Of an earlier attempt: a restored Postgres may know nothing of later ones. */
const isBefore = (ownId: string, other: string) => Number(ownId.slice(37)) < Number(other.slice(37))

const order = { pending: 0, generating: 1, completed: 2, failed: 2 }

export class Laws {
  readonly #world: World
  readonly #store: MemoryStore
  readonly #provider: MemoryProvider
  readonly #last = new Map<
    string,
    { status: VideoRecord['status']; attempt: number; version: number; epoch: bigint }
  >()
  readonly #published = new Map<string, number>()
  readonly #everPublished = new Map<string, number>()
  /** The newest version of each video that was published when the stream was lost. */
  readonly #lostWith = new Map<string, number>()
  /** The first breach. */
  broken: BrokenLaw | undefined

  constructor(
    world: World,
    parts: { store: MemoryStore; broker: Broker; provider: MemoryProvider },
  ) {
    this.#world = world
    this.#store = parts.store
    this.#provider = parts.provider
    parts.store.onChange = (video, kind, cause) => this.#onChange(video, kind, cause)
    parts.store.onDoubleRow = () =>
      this.breach('5: a statement names a video twice; one of its reports is lost without a word')
    parts.broker.onStored = (stream, message) => stream === streams.outbox && this.#onEvent(message)
    parts.provider.onAccept = (ownId, earlier) => {
      world.note(`accepted ${ownId}`)
      if (earlier.some((task) => task.ownId === ownId)) this.breach(`1: ${ownId} is paid twice`)
      // Where nobody can look up by own id, a person's retry may pay again: what became of the
      // earlier attempt cannot be known.
      if (
        parts.provider.findsByOwnId &&
        earlier.some(
          (task) => isBefore(task.ownId, ownId) && !(task.fails && parts.provider.isEnded(task)),
        )
      )
        this.breach(`1: ${ownId} is paid while an earlier attempt may still deliver`)
    }
  }

  breach(law: string): void {
    this.#world.note(`BROKEN LAW ${law}`)
    this.broken ??= new BrokenLaw(law)
  }

  #onChange(
    video: VideoRecord,
    kind: string,
    cause: { attempt: number; epoch: bigint } | null,
  ): void {
    const { id, status, attempt, version, epoch } = video
    this.#world.note(`${id.slice(0, 8)} ${kind} v${version} a${attempt} e${epoch}`)
    const before = this.#last.get(id)
    this.#last.set(id, { status, attempt, version, epoch })
    if (!before) return
    if (epoch < before.epoch)
      this.breach(`2: ${id} goes back from epoch ${before.epoch} to ${epoch}`)
    if (cause && (cause.epoch < before.epoch || cause.attempt !== before.attempt))
      this.breach(
        `2: ${id} is changed (${kind}) by attempt ${cause.attempt}, epoch ${cause.epoch}; it is at ${before.attempt}, ${before.epoch}`,
      )
    if (kind === 'claimed') return
    if (kind === 'completed') {
      const task = this.#provider.tasks.find(
        ({ taskId }) => taskId === this.#provider.host.under(video.videoUrl!).taskId,
      )
      if (task?.ownId.slice(0, 36) !== id) this.breach(`7: ${id} has the result of ${task?.ownId}`)
    }
    if (version !== before.version + 1)
      this.breach(`3: ${id} goes from version ${before.version} to ${version}`)
    const isRetry =
      before.status === 'failed' && status === 'pending' && attempt === before.attempt + 1
    const isForward =
      attempt === before.attempt &&
      !isTerminal(before.status) &&
      order[status] >= order[before.status]
    const isKept = kind === 'stored' && before.status === 'completed' && status === 'completed'
    if (!isRetry && !isForward && !isKept)
      this.breach(`3: ${id} goes from ${before.status} to ${status}`)
  }

  #onEvent(message: Message): void {
    const event = JSON.parse(new TextDecoder().decode(message.data)) as VideoEvent
    const before = this.#published.get(event.id)
    this.#world.note(`published ${event.id.slice(0, 8)} v${event.version}`)
    if ((this.#store.videos.get(event.id)?.version ?? 0) < event.version)
      this.breach(`5: event ${event.id}:${event.version} is ahead of the record`)
    const ever = this.#everPublished.get(event.id) ?? 0
    if (before !== undefined && event.version <= before)
      this.breach(`3: event ${event.id}:${event.version} after ${before}`)
    if (event.version > ever + 1)
      this.breach(`3: event ${event.id}:${event.version} when ${ever} was the last ever`)
    if (
      event.version > (before ?? 0) + 1 &&
      event.version - 1 > (this.#lostWith.get(event.id) ?? 0)
    )
      this.breach(`3: event ${event.id}:${event.version} leaves a gap after ${before}`)
    this.#published.set(event.id, event.version)
    this.#everPublished.set(event.id, Math.max(ever, event.version))
  }

  /** Postgres has gone back to what the store holds now. */
  restored(): void {
    this.#last.clear()
    for (const { id, status, attempt, version, epoch } of this.#store.videos.values()) {
      this.#last.set(id, { status, attempt, version, epoch })
      // events of forgotten versions cannot be published again
      this.#lostWith.set(id, Math.max(version, this.#lostWith.get(id) ?? 0))
    }
  }

  /** The stream has gone back to this. */
  rewound(content: Message[]): void {
    this.#published.clear()
    for (const message of content.toSorted((a, b) => a.sequence - b.sequence)) {
      const { id, version } = JSON.parse(new TextDecoder().decode(message.data)) as VideoEvent
      this.#published.set(id, version)
    }
  }

  /** The stream was lost: what it held is not expected to be there. */
  streamLost(): void {
    this.#published.clear()
    for (const [id, version] of this.#everPublished) this.#lostWith.set(id, version)
  }

  /** `owners`: processes that act as this video's owner now. */
  onPoll(videoId: string, owners: string[]): void {
    if (owners.length > 1)
      this.breach(`2: ${videoId} is polled while ${owners.join(' and ')} both own it`)
  }

  /** With nothing in the way any more: everything accepted has ended, and every event is out. */
  atRest(accepted: string[], content: Message[]): void {
    for (const id of accepted) {
      const video = this.#store.videos.get(id)
      if (!video) this.breach(`4: ${id} is lost`)
      else if (!isTerminal(video.status))
        this.breach(
          `4: ${id} is stuck: ${video.status}, ${video.phase}, attempt ${video.attempt}, epoch ${video.epoch}, task ${video.taskId}`,
        )
    }
    const stored = new Set(
      content
        .map((message) => JSON.parse(new TextDecoder().decode(message.data)) as VideoEvent)
        .map(({ id, version }) => `${id}:${version}`),
    )
    for (const { owed, event, videoId, version } of this.#store.timeline) {
      if (owed) this.breach(`3: event ${videoId}:${version} is never published`)
      else if (
        event !== null &&
        version > (this.#lostWith.get(videoId) ?? 0) &&
        !stored.has(`${videoId}:${version}`)
      )
        this.breach(`3: event ${videoId}:${version} is not in the stream`)
    }
  }
}
