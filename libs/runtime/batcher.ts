import type { Clock } from './clock.ts'

/**
 * Gathers what is added within `waitMs` and hands it over together, at most `maxSize` at a time and
 * at once when there are as many. `size` is what an item counts for, 1 unless given.
 */
export class Batcher<T> {
  readonly #o: BatcherOptions<T>
  #items: T[] = []
  #size = 0
  #cancel: (() => void) | undefined

  constructor(options: BatcherOptions<T>) {
    this.#o = options
  }

  /** An item that does not fit the batch begun begins the next one. */
  add(item: T): void {
    const { clock, waitMs, maxSize, sizeOf } = this.#o
    const size = sizeOf?.(item) ?? 1
    if (this.#items.length > 0 && this.#size + size > maxSize) this.flush()
    this.#items.push(item)
    this.#size += size
    if (this.#size >= maxSize) this.flush()
    else this.#cancel ??= clock.after(waitMs, () => this.flush())
  }

  /** Hands over what is gathered now. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    const batch = this.#items
    this.#items = []
    this.#size = 0
    if (batch.length) this.#o.handle(batch)
  }
}

export interface BatcherOptions<T> {
  clock: Clock
  waitMs: number
  maxSize: number
  sizeOf?: (item: T) => number
  /** Must not throw. */
  handle: (batch: T[]) => void
}
