/**
 * Many callers, one statement: who comes alone waits for 3 ms; where more come, what comes until
 * the next statement is due, or while two are under way, is carried out together. An item that the
 * statement leaves out (its row has changed, or somebody holds it) is carried out alone, and so is
 * each where the statement fails: no item spoils another, or has it wait. Where Postgres is away,
 * all of them fail.
 */
import { Batcher } from '#libs/runtime/batcher.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { isLockFault, isOutage } from './errors.ts'

const [idleMs, busyMs] = [3, 25]
const mostTogether = 100
const atOnce = 2

interface Waiting<T, R> {
  item: T
  resolve(result: R): void
  reject(err: unknown): void
}

export class Gather<T extends { id: string }, R> {
  readonly #together: (items: T[]) => Promise<Map<string, R>>
  readonly #alone: (item: T) => Promise<R>
  readonly #batcher: Batcher<Waiting<T, R>>

  /**
   * `together` gives the results by id, for those that it carried out; a statement begins at most
   * every `everyMs`.
   */
  constructor(
    together: (items: T[]) => Promise<Map<string, R>>,
    alone: (item: T) => Promise<R>,
    everyMs = busyMs,
  ) {
    this.#together = together
    this.#alone = alone
    this.#batcher = new Batcher({
      clock: systemClock,
      waitMs: everyMs,
      idleMs,
      maxSize: mostTogether,
      atOnce,
      handle: (batch) => this.#run(batch),
    })
  }

  do(item: T): Promise<R> {
    return new Promise((resolve, reject) => this.#batcher.add({ item, resolve, reject }))
  }

  async #run(batch: Waiting<T, R>[]): Promise<void> {
    const first = [...new Map(batch.toReversed().map((one) => [one.item.id, one])).values()]
    let done = new Map<string, R>()
    try {
      if (first.length > 1) done = await this.#together(first.map(({ item }) => item))
    } catch (err) {
      if (isOutage(err) && !isLockFault(err)) return batch.forEach(({ reject }) => reject(err))
    }
    const together = new Set(first)
    for (const one of batch) {
      const result = together.has(one) ? done.get(one.item.id) : undefined
      if (result !== undefined) one.resolve(result)
      else void this.#alone(one.item).then(one.resolve, one.reject)
    }
  }
}
