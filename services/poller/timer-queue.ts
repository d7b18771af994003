/**
 * One timer for all waiting videos: a binary heap of instants, and a single timer for the earliest.
 * It fires in ticks: what falls into one is called at its end, together. Waking up costs a process
 * more than a poll does, so many small wakings are made into few.
 */

import type { Clock } from '#libs/runtime/clock.ts'

/** The longest that anything is called after its instant, unless there is no room, in ms. */
const tickMs = 100
/** When what is due then is called. */
export const tickOf = (at: number): number => Math.ceil(at / tickMs) * tickMs

interface Entry<T> {
  at: number
  item: T
}

export class TimerQueue<T> {
  readonly #heap: Entry<T>[] = []
  readonly #clock: Clock
  readonly #due: (item: T, at: number) => void
  readonly #hasRoom: () => boolean
  #cancel: () => void = () => {}
  #armedFor = Infinity
  #stopped = false

  /**
   * `due` is told the instant the entry was made for, so that a superseded one can be told from the
   * current. While `hasRoom` says no, what is due waits; `wake` looks again, and must be called
   * whenever there may be room anew: without room no timer runs, not even for what is due later.
   */
  constructor(
    clock: Clock,
    due: (item: T, at: number) => void,
    hasRoom: () => boolean = () => true,
  ) {
    this.#clock = clock
    this.#due = due
    this.#hasRoom = hasRoom
  }

  add(item: T, at: number): void {
    if (this.#stopped) return
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

  wake(): void {
    this.#arm()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
    this.#heap.length = 0
  }

  #arm(): void {
    const first = this.#heap[0]
    const at = first && this.#hasRoom() ? tickOf(first.at) : Infinity
    if (at === this.#armedFor) return
    this.#cancel()
    this.#armedFor = at
    if (at < Infinity)
      this.#cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#fire())
  }

  #fire(): void {
    this.#armedFor = Infinity
    const now = this.#clock.now()
    while (this.#heap[0] && this.#heap[0].at <= now && this.#hasRoom()) {
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
    for (let i = 0; ;) {
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
