/** One timer for all waiting videos: a binary heap of instants, and a single setTimeout for the earliest. */
import type { Clock } from '#libs/runtime/clock.ts'

interface Entry<T> {
  at: number
  item: T
}

export class TimerQueue<T> {
  readonly #heap: Entry<T>[] = []
  readonly #clock: Clock
  readonly #due: (item: T, at: number) => void
  #timer: NodeJS.Timeout | undefined

  /** `due` is told the instant the entry was made for, so that a superseded one can be told from the current. */
  constructor(clock: Clock, due: (item: T, at: number) => void) {
    this.#clock = clock
    this.#due = due
  }

  add(item: T, at: number): void {
    const heap = this.#heap
    let i = heap.push({ at, item }) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (heap[parent]!.at <= at) break
      ;[heap[i], heap[parent]] = [heap[parent]!, heap[i]!]
      i = parent
    }
    if (i === 0) this.#arm()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#heap.length = 0
  }

  #arm(): void {
    clearTimeout(this.#timer)
    const first = this.#heap[0]
    if (first) this.#timer = setTimeout(() => this.#fire(), Math.max(0, first.at - this.#clock.now()))
  }

  #fire(): void {
    const now = this.#clock.now()
    while (this.#heap[0] && this.#heap[0].at <= now) {
      const { item, at } = this.#pop()
      this.#due(item, at)
    }
    this.#arm()
  }

  #pop(): Entry<T> {
    const heap = this.#heap
    const top = heap[0]!
    const last = heap.pop()!
    if (heap.length === 0) return top
    heap[0] = last
    for (let i = 0; ; ) {
      const left = 2 * i + 1
      const right = left + 1
      let least = i
      if (left < heap.length && heap[left]!.at < heap[least]!.at) least = left
      if (right < heap.length && heap[right]!.at < heap[least]!.at) least = right
      if (least === i) return top
      ;[heap[i], heap[least]] = [heap[least]!, heap[i]!]
      i = least
    }
  }
}
