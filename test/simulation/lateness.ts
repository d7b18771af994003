/**
 * How late promises are kept while faults go on. A promise's wait grows only while nothing is in
 * the way of anybody: every process runs, both servers answer. One that waits longer than its bound
 * is a breach.
 */
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { MemoryProvider } from './memory-provider.ts'
import type { MemoryStore } from './memory-store.ts'
import type { Process, World } from './world.ts'

export type Kind = 'cancel' | 'deadline' | 'record'

/** The world that is watched. */
interface Watched {
  readonly world: World
  readonly broker: { isUp: boolean }
  readonly storeUp: boolean
  readonly laws: { breach(law: string): void }
  readonly files: { are: string; laws: { look(ms: number, isClear: boolean): void } } | null
  readonly running: Map<string, { process: Process; part?: AsyncDisposable }>
}

/** Milliseconds without anything in the way. */
export type Bounds = Record<Kind, number>

/**
 * Milliseconds with nothing in the way, added up over faults. Whatever a fault interrupts begins
 * again after it: an owner's death is known after one TTL, its heirs claim after another one,
 * messages that were lost are found by the looks that repeat them. A record leaves room for one
 * pass of the reconciler: it alone finds a video that submit died before handing over.
 */
const bounds: Bounds = { cancel: 60_000, deadline: 60_000, record: 150_000 }

export class Lateness {
  readonly #waits = new Map<string, number>()
  readonly most: Bounds = { cancel: 0, deadline: 0, record: 0 }
  readonly #store: MemoryStore
  readonly #provider: MemoryProvider
  readonly #badUserId: string
  /** Off where an account's budget lets it learn of an end only much later. */
  judgesRecords = true

  constructor(
    { store, provider }: { store: MemoryStore; provider: MemoryProvider },
    badUserId: string,
  ) {
    this.#badUserId = badUserId
    this.#store = store
    this.#provider = provider
  }

  /** The first promise that is later than its bound. Called every `ms`. */
  look(ms: number, isClear: boolean): string | undefined {
    const due = new Set<string>()
    let late: string | undefined
    for (const [promise, id] of this.#due()) {
      const name = `${promise} ${id}`
      due.add(name)
      const waited = (this.#waits.get(name) ?? 0) + (isClear ? ms : 0)
      this.#waits.set(name, waited)
      this.most[promise] = Math.max(this.most[promise], waited)
      if (waited > bounds[promise]) late ??= `${promise} of ${id} is due for ${waited} ms`
    }
    for (const name of this.#waits.keys()) if (!due.has(name)) this.#waits.delete(name)
    return late
  }

  /** Looks twice a second, and tells the laws. */
  watch(simulation: Watched): void {
    const ms = 500
    simulation.world.schedule(ms, null, () => {
      const isFree = isClear(simulation)
      const late = this.look(ms, isFree)
      if (late) simulation.laws.breach(`4: ${late}`)
      simulation.files?.laws.look(ms, isFree && simulation.files.are === 'up')
      this.watch(simulation)
    })
  }

  *#due(): Generator<[Kind, string]> {
    for (const video of this.#store.videos.values()) {
      if (isTerminal(video.status)) continue
      if (video.cancelRequested) yield ['cancel', video.id]
      if (video.deadlineAt && video.deadlineAt <= this.#store.date()) yield ['deadline', video.id]
      const task = this.#provider.tasks.find(({ taskId }) => taskId === video.taskId)
      // whose provider does not answer, learns of no end
      const isAnswered =
        this.judgesRecords && (this.#provider.bad === 'none' || video.userId !== this.#badUserId)
      if (task && isAnswered && this.#provider.isEnded(task)) yield ['record', video.id]
    }
  }
}

const isClear = ({ broker, running, storeUp }: Watched) =>
  storeUp &&
  broker.isUp &&
  [...running.values()].every(
    ({ process, part }) => part && process.alive && !process.paused && !process.isolated,
  )
