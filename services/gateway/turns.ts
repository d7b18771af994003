/**
 * Turns at this gateway’s one thread. Of one user only a few requests are in work at a time, and
 * users take turns, so a thousand at once of one user wait behind each other, and nobody else does.
 * What waits for somebody else (a service, a reader, a body) gives its turn back before.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import type { Clock } from '#libs/runtime/clock.ts'
import { FairSlots, type Slot } from '#libs/runtime/fair-slots.ts'

/** In work at once, and of one user. What takes longer waits itself, and counts no more. */
const bounds = { total: 8, share: 2, patienceMs: 1_000 }

/** Given back once, however often it is called. */
export type Leave = () => void

const current = new AsyncLocalStorage<Leave>()

/** Whoever waits from now on for somebody else holds up no other request of its user. */
export const leaveTurn = (): void => current.getStore()?.()

export class Turns {
  readonly #slots: FairSlots
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
    this.#slots = new FairSlots({ clock, ...bounds })
  }

  /** Calls `act` now or at its turn, with how long it waited. */
  enter(userId: string, act: (leave: Leave, waitedMs: number) => void): void {
    const since = this.#clock.now()
    let isAtOnce = true
    this.#slots.enter(userId, (slot) => {
      const leave = this.#leaving(slot)
      const begin = () =>
        current.run(leave, () => act(leave, isAtOnce ? 0 : this.#clock.now() - since))
      // whoever asks for something else is answered between two turns
      if (isAtOnce) begin()
      else setImmediate(begin)
    })
    isAtOnce = false
  }

  /** For work that comes piece by piece. */
  next(userId: string): Promise<Leave> {
    return new Promise((resolve) => this.enter(userId, resolve))
  }

  #leaving(slot: Slot): Leave {
    let isHeld = true
    const leave = () => {
      if (!isHeld) return
      isHeld = false
      cancel()
      this.#slots.leave(slot)
    }
    // rule: a request that waits for long holds up no other one of its user
    const cancel = this.#clock.after(bounds.patienceMs, leave)
    return leave
  }
}

/**
 * A file, read piece by piece, each at its user’s turn; while its reader takes a piece it holds
 * none. Ends the reading when it is left, whether or not it had begun.
 */
export function inTurns(file: AsyncIterable<Uint8Array>, turns: Turns, userId: string): Readable {
  const pieces = async function* () {
    const source = file[Symbol.asyncIterator]()
    for (;;) {
      // rule: each piece of a file waits for its user's turn
      const leave = await turns.next(userId)
      const piece = await source.next().finally(leave)
      if (piece.done) return
      yield piece.value
    }
  }
  // no more of it in memory than what is being written
  const read = Readable.from(pieces(), { objectMode: false, highWaterMark: 1 })
  if (file instanceof Readable) {
    file.on('error', () => {}) // told where it is read
    read.once('close', () => file.destroy())
  }
  return read
}
