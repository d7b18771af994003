/**
 * Slots for what may run at once, shared by key: no key has more than its share, and keys that wait
 * take turns, so that one whose runs do not end keeps none of the others waiting for more than
 * that.
 */
export class FairSlots {
  readonly #total: number
  readonly #share: number
  #running = 0
  readonly #of = new Map<string, number>()
  /** In the order of their turns. */
  readonly #waiting = new Map<string, { begin(): void; give(err: Error): void }[]>()

  constructor(total: number, share: number) {
    this.#total = total
    this.#share = share
  }

  /** Waits for its turn, however long, and runs. */
  async run<T>(key: string, act: () => Promise<T>): Promise<T> {
    if (!this.#isFree(key)) await this.#turn(key)
    else this.#take(key)
    try {
      return await act()
    } finally {
      this.#running--
      const left = this.#of.get(key)! - 1
      if (left) this.#of.set(key, left)
      else this.#of.delete(key)
      this.#next()
    }
  }

  #isFree(key: string): boolean {
    return this.#running < this.#total && (this.#of.get(key) ?? 0) < this.#share
  }

  #take(key: string): void {
    this.#running++
    this.#of.set(key, (this.#of.get(key) ?? 0) + 1)
  }

  #turn(key: string): Promise<void> {
    return new Promise((begin, give) => {
      const queue = this.#waiting.get(key)
      if (queue) queue.push({ begin, give })
      else this.#waiting.set(key, [{ begin, give }])
    })
  }

  /** Whoever still waits for a turn gets an error instead. */
  close(): void {
    for (const queue of this.#waiting.values())
      for (const { give } of queue) give(new Error('stopping'))
    this.#waiting.clear()
  }

  /** The first key in turn that may run, which then goes to the end. */
  #next(): void {
    for (const [key, queue] of this.#waiting) {
      if (!this.#isFree(key)) continue
      this.#take(key)
      const { begin } = queue.shift()!
      this.#waiting.delete(key)
      if (queue.length) this.#waiting.set(key, queue)
      return begin()
    }
  }
}
