/**
 * The files that an archiver has in work, and how many more it may take. No user has more than a
 * quarter of the slots. A file that takes long, or of which nothing comes, still counts against its
 * user, but no longer against all: however many users' hosts are slow, others wait for no longer
 * than that. A host of which many files are silent gets no more of them.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { hostOfLink, type ClaimedFile } from '#libs/store/file-records.ts'

export interface Running {
  file: ClaimedFile
  stop: AbortController
  done: Promise<void>
}

interface InWork extends Running {
  since: number
  /** The next bytes of its link are waited for since then; infinite: they are not. */
  waitsSince: number
}

const patienceMs = 30_000
const silentMs = 1_000
/** So many times the slots may run in all. */
const mostPatience = 4

export class Slots {
  /** So many of them one user may have. */
  readonly perUser: number
  readonly #clock: Clock
  readonly #concurrency: number
  readonly #running = new Map<string, InWork>()
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

  all(): InWork[] {
    return [...this.#running.values()]
  }

  get(id: string): Running | undefined {
    return this.#running.get(id)
  }

  /** Who is claimed anew while it is in work here had lost its claim. */
  add(running: Running): void {
    this.#running.get(running.file.id)?.stop.abort(new Error('the claim is lost'))
    const now = this.#clock.now()
    this.#running.set(running.file.id, { ...running, since: now, waitsSince: now })
  }

  /** The same bytes; since when more are waited for is noted, not how long the store takes. */
  async *watched({ id }: ClaimedFile, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const waitsSince = (at: number) => {
      const running = this.#running.get(id)
      if (running) running.waitsSince = at
    }
    for await (const chunk of body) {
      // rule: a slow store makes no host silent
      waitsSince(Infinity)
      yield chunk
      waitsSince(this.#clock.now())
    }
    waitsSince(Infinity)
  }

  /** Whether its user had all that one may have when that was looked at last. */
  free(file: ClaimedFile): boolean {
    if (this.#running.get(file.id)?.file === file) this.#running.delete(file.id)
    return this.#fullUsers.delete(file.userId)
  }

  /** How many more may begin. */
  left(): number {
    const slowSince = this.#clock.now() - patienceMs
    const silentSince = this.#clock.now() - silentMs
    const running = [...this.#running.values()]
    // rule: files that take long leave the slots to others
    const counting = running.filter(
      ({ since, waitsSince }) => since > slowSince && waitsSince > silentSince,
    ).length
    return Math.min(this.#concurrency - counting, this.#concurrency * mostPatience - running.length)
  }

  byUser(): ReadonlyMap<string, number> {
    const slots = Map.groupBy(this.#running.values(), ({ file }) => file.userId)
    const counts = new Map([...slots].map(([userId, { length }]) => [userId, length]))
    const full = [...counts].filter(([, n]) => n >= this.perUser)
    this.#fullUsers = new Set(full.map(([userId]) => userId))
    return counts
  }

  /** Those of which half as many files are silent as may be in work. */
  silentHosts(): string[] {
    const silentSince = this.#clock.now() - silentMs
    const silent = this.all().filter(({ waitsSince }) => waitsSince <= silentSince)
    const hosts = Map.groupBy(silent, ({ file }) => hostOfLink(file.url))
    // rule: a host whose files are silent leaves the slots to others
    return [...hosts].flatMap(([host, { length }]) =>
      length >= this.#concurrency / 2 ? [host] : [],
    )
  }
}
