import type { Clock } from './clock.ts'

/**
 * Gathers what is added within `waitMs` and hands it over together, at most `maxSize` at a time and
 * at once when there are as many. `size` is what an item counts for, 1 unless given. While
 * `atOnce` batches are under way, what is added goes on gathering.
 */
export class Batcher<T> {
  readonly #o: BatcherOptions<T>
  #items: T[] = []
  #size = 0
  #cancel: (() => void) | undefined
  /** Full, and waiting for one under way to end. */
  readonly #full: T[][] = []
  #underWay = 0
  /** What is gathered has had its time. */
  #isDue = false
  #cutAt = -Infinity
  /** When what is gathered has had its time. */
  #dueAt = Infinity

  constructor(options: BatcherOptions<T>) {
    this.#o = options
  }

  /** An item that does not fit the batch begun begins the next one. */
  add(item: T): void {
    const { maxSize, sizeOf } = this.#o
    const size = sizeOf?.(item) ?? 1
    if (this.#items.length > 0 && this.#size + size > maxSize) this.#fill()
    this.#items.push(item)
    this.#size += size
    if (this.#size >= maxSize) this.#fill()
    else this.#arm(item)
  }

  #arm(item: T): void {
    const { clock } = this.#o
    const dueAt = clock.now() + this.#waitMs(item)
    if (dueAt >= this.#dueAt) return
    this.#cancel?.()
    this.#dueAt = dueAt
    this.#cancel = clock.after(dueAt - clock.now(), () => this.flush())
  }

  /** Hands over what is gathered now, as soon as it may. */
  flush(): void {
    this.#isDue = this.#items.length > 0
    this.#handOver()
  }

  #waitMs(item: T): number {
    const { clock, waitMs, idleMs = waitMs, soonMs = waitMs, isSoon } = this.#o
    const apartMs = isSoon?.(item) ? Math.min(soonMs, waitMs) : waitMs
    return Math.max(Math.min(idleMs, waitMs), this.#cutAt + apartMs - clock.now())
  }

  #fill(): void {
    this.#full.push(this.#cut())
    this.#handOver()
  }

  #cut(): T[] {
    this.#cancel?.()
    this.#cancel = undefined
    this.#dueAt = Infinity
    this.#isDue = false
    this.#cutAt = this.#o.clock.now()
    const batch = this.#items
    this.#items = []
    this.#size = 0
    return batch
  }

  #handOver(): void {
    const { handle, atOnce = Infinity } = this.#o
    while (this.#underWay < atOnce) {
      const batch = this.#full.shift() ?? (this.#isDue ? this.#cut() : undefined)
      if (!batch) return
      const running = handle(batch)
      if (!running) continue
      this.#underWay++
      void running.then(() => {
        this.#underWay--
        this.#handOver()
      })
    }
  }
}

export interface BatcherOptions<T> {
  clock: Clock
  waitMs: number
  /** Instead of `waitMs`, for the first item after that long without a batch. */
  idleMs?: number
  /** Instead of `waitMs`, since the last batch, for items of which `isSoon`. */
  soonMs?: number
  isSoon?: (item: T) => boolean
  maxSize: number
  sizeOf?: (item: T) => number
  /** Batches under way at once; any number unless given. */
  atOnce?: number
  /** Must not throw. A batch is under way until the promise resolves. */
  handle: (batch: T[]) => void | Promise<void>
}
