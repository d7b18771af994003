/**
 * The files that an archiver has in work, and how many more it may take. No user has more than a
 * quarter of the slots. A file that takes long still counts against its user, but no longer against
 * all: however many users' hosts are slow, others wait for no longer than that.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { ClaimedFile } from '#libs/store/file-records.ts'

export interface Running {
  file: ClaimedFile
  stop: AbortController
  done: Promise<void>
}

const patienceMs = 30_000
/** So many times the slots may run in all. */
const mostPatience = 4

export class Slots {
  /** So many of them one user may have. */
  readonly perUser: number
  readonly #clock: Clock
  readonly #concurrency: number
  readonly #running = new Map<string, Running & { since: number }>()
  #fullUsers = new Set<string>()

  constructor(clock: Clock, concurrency: number) {
    this.#clock = clock
    this.#concurrency = concurrency
    // rule: a user has a quarter of the slots
    this.perUser = Math.max(1, Math.floor(concurrency / 4))
  }

  get size(): number {
    return this.#running.size
  }

  all(): Running[] {
    return [...this.#running.values()]
  }

  get(id: string): Running | undefined {
    return this.#running.get(id)
  }

  /** Who is claimed anew while it is in work here had lost its claim. */
  add(running: Running): void {
    this.#running.get(running.file.id)?.stop.abort(new Error('the claim is lost'))
    this.#running.set(running.file.id, { ...running, since: this.#clock.now() })
  }

  /** Whether its user had all that one may have when that was looked at last. */
  free(file: ClaimedFile): boolean {
    if (this.#running.get(file.id)?.file === file) this.#running.delete(file.id)
    return this.#fullUsers.delete(file.userId)
  }

  /** How many more may begin. */
  left(): number {
    const slowSince = this.#clock.now() - patienceMs
    const running = [...this.#running.values()]
    // rule: files that take long leave the slots to others
    const counting = running.filter(({ since }) => since > slowSince).length
    return Math.min(this.#concurrency - counting, this.#concurrency * mostPatience - running.length)
  }

  byUser(): ReadonlyMap<string, number> {
    const slots = Map.groupBy(this.#running.values(), ({ file }) => file.userId)
    const counts = new Map([...slots].map(([userId, { length }]) => [userId, length]))
    const full = [...counts].filter(([, n]) => n >= this.perUser)
    this.#fullUsers = new Set(full.map(([userId]) => userId))
    return counts
  }
}
