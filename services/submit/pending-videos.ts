/**
 * The pending videos that this process has in hand. A video waits by a timer here and by an instant
 * in its row, never as a message: the timer tries it in time, and the row has any process try it
 * should this one be gone. Cancels, deadlines and the end of a video's patience are found by a
 * repeated look of their own, whatever is under way for it. Where Postgres or NATS is away, nothing
 * is counted against a video: what that stopped goes on once a look finds both again.
 */
import { BusUnavailable } from '#libs/bus/bus.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import { Looks, repeat } from '#libs/runtime/every.ts'
import { jitteredBackoffMs } from '#libs/runtime/backoff.ts'
import { advancePending, dueSignal, stateOfPending } from '#libs/scene-video/pending.ts'
import { isLockFault, isOutage } from '#libs/store/errors.ts'
import type { DueVideo, Loaded } from '#libs/store/submissions.ts'
import type { SubmitContext } from './context.ts'
import { failVideo, submitVideo, type VideoOf } from './submit-video.ts'

const lookMs = 1_000
/** While this process has nothing in hand, and only what others left could be due. */
const idleMs = 10_000
/** Half of the time for which a video is held. */
const keepMs = 10_000
const mostDue = 500
/** Videos ended at once by the look. */
const endedAtOnce = 10
const failureBackoff = { firstMs: 1_000, maxMs: 30_000 }

type Server = 'Postgres' | 'NATS'

interface InHand {
  video: VideoOf
  since: number
  /** Asked for again meanwhile. */
  again: boolean
}

export class PendingVideos implements AsyncDisposable {
  readonly #context: SubmitContext
  readonly #running = new Map<string, InHand>()
  readonly #runs = new Set<Promise<void>>()
  readonly #timers = new Map<string, () => void>()
  readonly #failures = new Map<string, number>()
  /** What an outage stopped, in order. */
  readonly #stopped = new Map<string, { video: VideoOf; away: Server }>()
  readonly #stop = new AbortController()
  readonly #looks: Looks
  readonly #keeping: AsyncDisposable

  constructor(context: SubmitContext) {
    this.#context = context
    const { clock, log } = context
    const failed = (what: string) => (err: unknown) => log.warn({ err }, what)
    const onError = failed('looking for due videos failed, looked again soon')
    this.#looks = new Looks({ clock, everyMs: lookMs, idleMs, onError }, () => this.#look())
    const notKept = failed('videos in hand not kept, somebody else may try them')
    this.#keeping = repeat({ clock, everyMs: keepMs, onError: notKept }, () => this.#keep())
  }

  /** Something is due that is not in hand here: it is looked for within a second. */
  lookSoon(): void {
    this.#looks.wake()
  }

  /**
   * Works on it now; once more, when it is being worked on. `loaded`: the video as it was just
   * read.
   */
  take(video: VideoOf, loaded?: Loaded): void {
    if (this.#stop.signal.aborted) return
    const { id } = video
    this.#looks.wake()
    this.#timers.get(id)?.()
    this.#timers.delete(id)
    const running = this.#running.get(id)
    if (running) {
      running.again = true
      return
    }
    const run = this.#run(video, loaded).finally(() => this.#runs.delete(run))
    this.#runs.add(run)
  }

  async #run(video: VideoOf, loaded?: Loaded): Promise<void> {
    const { id } = video
    const inHand: InHand = { video, since: this.#context.clock.now(), again: false }
    this.#running.set(id, inHand)
    let againMs: number | null
    try {
      againMs = await submitVideo(this.#context, video, loaded)
      this.#failures.delete(id)
    } catch (err) {
      if (this.#stop.signal.aborted) return
      againMs = this.#failed(video, err)
    }
    this.#running.delete(id)
    if (inHand.again) this.take(video)
    else if (againMs !== null) this.#wait(video, againMs)
  }

  /** After how many milliseconds it is tried again; null where that is not by a timer. */
  #failed(video: VideoOf, err: unknown): number | null {
    const { clock, log } = this.#context
    const { id } = video
    const away = this.#awayBy(err)
    if (away) {
      if (this.#stopped.size === 0) log.warn({ err }, `${away} is away, submitting waits for it`)
      this.#stopped.set(id, { video, away })
      return null
    }
    const failures = (this.#failures.get(id) ?? 0) + 1
    this.#failures.set(id, failures)
    log.error({ err, video: id, failures }, 'submitting failed, tried again later')
    return jitteredBackoffMs(failures, failureBackoff, clock.random())
  }

  #awayBy(err: unknown): Server | null {
    // rule: an outage is no failure of a video
    if (isOutage(err) && !isLockFault(err)) return 'Postgres'
    // rule: nor is one of NATS
    return err instanceof BusUnavailable && !this.#context.bus.isConnected() ? 'NATS' : null
  }

  #wait(video: VideoOf, ms: number): void {
    if (this.#stop.signal.aborted) return
    const cancel = this.#context.clock.after(Math.round(ms), () => this.take(video))
    this.#timers.set(video.id, cancel)
  }

  /**
   * Everything that is due: ended where its time is over, else worked on. Whether there was any, or
   * may be soon.
   */
  async #look(): Promise<boolean> {
    for (;;) {
      // rule: the reconciler hands back what stopped, second
      const due = await this.#context.store.takeDue(mostDue)
      this.#resume()
      // rule: deadlines and cancels of pending videos wait for nothing
      await eachLimited(due, endedAtOnce, (one) => this.#onDue(one))
      if (due.length < mostDue || this.#stop.signal.aborted)
        return due.length + this.#running.size + this.#timers.size + this.#stopped.size > 0
    }
  }

  #resume(): void {
    const isBack = (away: Server) => away === 'Postgres' || this.#context.bus.isConnected()
    for (const [id, { video, away }] of this.#stopped) {
      if (!isBack(away)) continue
      this.#stopped.delete(id)
      this.take(video)
    }
  }

  async #onDue(due: DueVideo): Promise<void> {
    // rule: an accepted video is queued for the pollers until one has it
    if (due.taskId !== null) return this.take(due)
    const signal = dueSignal(due)
    if (signal.type === 'TURN') return this.take(due)
    const { record } = advancePending(stateOfPending(due, [], due.waitReason), signal)
    if (record?.kind === 'failed') await failVideo(this.#context, due, record)
  }

  /** What takes longer than a moment is told to be in hand. */
  async #keep(): Promise<void> {
    const { clock, store } = this.#context
    const long = [...this.#running].filter(([, { since }]) => clock.now() - since >= lookMs)
    if (long.length) await store.keepInHand(long.map(([id]) => id))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
    this.#context.slots.close()
    this.#context.turns.close()
    await Promise.all([
      this.#looks[Symbol.asyncDispose](),
      this.#keeping[Symbol.asyncDispose](),
      ...this.#runs,
    ])
  }
}
