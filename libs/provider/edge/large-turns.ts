/**
 * Turns of large answers, which cost memory and CPU: one at a time is read, unpacked and parsed,
 * places take turns, and the next one waits for thrice the time that this took. So a process has
 * room and time for the others whatever a provider answers. One that drips holds up its own place.
 */
import { systemClock } from '#libs/runtime/clock.ts'
import { FairSlots } from '#libs/runtime/fair-slots.ts'

/** Bytes of an answer, packed or not, that need no turn. */
export const mostSmall = 256 * 1024

/** Given back once, with the milliseconds of work that the answer was. */
export type Leave = (workMs: number) => void

export class LargeTurns {
  // rule: a large answer waits for its turn, second
  readonly #slots = new FairSlots({ clock: systemClock, total: 1, share: 1, patienceMs: 1_000 })

  /** Calls `begin` now or at its turn. */
  enter(place: string, begin: (leave: Leave) => void): void {
    this.#slots.enter(place, (slot) =>
      begin((workMs) => {
        if (workMs > 1) setTimeout(() => this.#slots.leave(slot), 3 * workMs).unref()
        else this.#slots.leave(slot)
      }),
    )
  }

  close(): void {
    this.#slots.close()
  }
}
