/**
 * Slots for what may run at once, shared by key. No key has more than its share, and keys that wait
 * take turns; where users are told they do, whatever number of keys is theirs. A run that takes
 * longer than `patienceMs` still counts against its key, but no longer against the total: however
 * many keys have runs that do not end, the others wait for no longer than that.
 */
import type { Clock } from './clock.ts'

export interface FairSlotsOptions {
  clock: Clock
  /** Runs at once of all keys together, those that took longer than `patienceMs` apart. */
  total: number
  /** Runs at once of one key, however long they take. */
  share: number
  /** Milliseconds. */
  patienceMs: number
}

/** One run under way; given back by `leave`. */
export interface Slot {
  readonly key: string
  readonly since: number
}

interface Waiting {
  begin(slot: Slot): void
  refuse(err: Error): void
}

const ignore = () => {}

export class FairSlots {
  readonly #options: FairSlotsOptions
  /** Those that count, the oldest first. */
  readonly #counting = new Set<Slot>()
  readonly #running = new Map<string, number>()
  /** By user, else by key, in the order of their turns; there by key. */
  readonly #waiting = new Map<string, Map<string, Waiting[]>>()
  #isHandingOut = false
  #cancelLook: (() => void) | undefined

  constructor(options: FairSlotsOptions) {
    this.#options = options
  }

  /** Waits for its turn, however long, and runs. Rejects when the slots are closed before that. */
  async run<T>(key: string, act: () => Promise<T>, userId = ''): Promise<T> {
    const slot = await new Promise<Slot>((begin, refuse) =>
      this.#enter(key, userId, { begin, refuse }),
    )
    try {
      return await act()
    } finally {
      this.leave(slot)
    }
  }

  /** Calls `begin` now or at its turn; whoever began gives the slot back by `leave`, once. */
  enter(key: string, begin: (slot: Slot) => void, userId = ''): void {
    this.#enter(key, userId, { begin, refuse: ignore })
  }

  leave(slot: Slot): void {
    this.#counting.delete(slot)
    const left = this.#running.get(slot.key)! - 1
    if (left) this.#running.set(slot.key, left)
    else this.#running.delete(slot.key)
    this.#handOut()
  }

  /** Whoever still waits for a turn is refused. */
  close(): void {
    this.#cancelLook?.()
    const queues = [...this.#waiting.values()].flatMap((keys) => [...keys.values()])
    this.#waiting.clear()
    for (const one of queues.flat()) one.refuse(new Error('stopping'))
  }

  #enter(key: string, userId: string, waiting: Waiting): void {
    if (this.#hasTotal() && this.#hasShare(key)) return waiting.begin(this.#take(key))
    // rule: users take turns, however many accounts are theirs
    const turn = userId || key
    const keys = this.#waiting.get(turn) ?? new Map<string, Waiting[]>()
    this.#waiting.set(turn, keys)
    const queue = keys.get(key)
    if (queue) queue.push(waiting)
    else keys.set(key, [waiting])
    this.#lookAgain()
  }

  #hasTotal(): boolean {
    return this.#counting.size < this.#options.total
  }

  #hasShare(key: string): boolean {
    return (this.#running.get(key) ?? 0) < this.#options.share
  }

  #take(key: string): Slot {
    const slot: Slot = { key, since: this.#options.clock.now() }
    this.#counting.add(slot)
    this.#running.set(key, (this.#running.get(key) ?? 0) + 1)
    return slot
  }

  /** What is given back meanwhile is handed out by the same loop, so no run nests in another. */
  #handOut(): void {
    if (this.#isHandingOut) return
    this.#isHandingOut = true
    try {
      while (this.#hasTotal() && this.#handOutOne());
    } finally {
      this.#isHandingOut = false
    }
    this.#lookAgain()
  }

  /** To the first in turn that may run, which then goes to the end, as its key does. */
  #handOutOne(): boolean {
    for (const [turn, keys] of this.#waiting)
      for (const [key, queue] of keys) {
        if (!this.#hasShare(key)) continue
        const first = queue.shift()!
        keys.delete(key)
        if (queue.length > 0) keys.set(key, queue)
        this.#waiting.delete(turn)
        if (keys.size > 0) this.#waiting.set(turn, keys)
        first.begin(this.#take(key))
        return true
      }
    return false
  }

  /** While somebody waits for the total: when the oldest run has had its time. */
  #lookAgain(): void {
    if (this.#cancelLook || this.#waiting.size === 0 || this.#hasTotal()) return
    const { clock, patienceMs } = this.#options
    const [oldest] = this.#counting
    if (!oldest) return
    this.#cancelLook = clock.after(Math.max(0, oldest.since + patienceMs - clock.now()), () => {
      this.#cancelLook = undefined
      this.#stopCounting()
      this.#handOut()
    })
  }

  #stopCounting(): void {
    const since = this.#options.clock.now() - this.#options.patienceMs
    for (const slot of this.#counting) {
      if (slot.since > since) return
      // rule: a run that takes long counts against its own key only
      this.#counting.delete(slot)
    }
  }
}

/** One key has at most half of the slots, and no run holds up another key for a second. */
export const sharedByHalf = (total: number, clock: Clock): FairSlotsOptions => ({
  clock,
  total,
  share: Math.max(1, Math.floor(total / 2)),
  patienceMs: 1_000,
})
