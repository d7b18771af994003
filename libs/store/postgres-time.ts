/**
 * Postgres' time as this process last learned it. A statement that names an instant of it does
 * nothing when Postgres comes to it later than that: also one that was on its way while Postgres
 * stood still. The instant is never later than meant; it is earlier by the time that the answer
 * took from which it was learned, which is learned anew when it took long or was long ago.
 */
import { bootMs } from '#libs/runtime/clock.ts'
import type { Database } from './connect.ts'

const knownForMs = 10_000
/** What took longer on its way is no news. */
const mostOnTheWayMs = 500

export class PostgresTime {
  readonly #db: Database
  /** Postgres' time less boot time, at least. */
  #aheadMs = 0
  #learnedAt = -Infinity
  #asking: Promise<number> | undefined

  constructor(db: Database) {
    this.#db = db
  }

  /** What Postgres' clock shows at that boot time, or less; ms of the Unix epoch. */
  async at(boot: number): Promise<number> {
    if (bootMs() - this.#learnedAt > knownForMs) await this.now()
    return boot + this.#aheadMs
  }

  /** Postgres told its time in answer to what was asked at `askedAt`. */
  told(postgresMs: number, askedAt: number): void {
    if (bootMs() - askedAt <= mostOnTheWayMs) this.#learn(postgresMs)
  }

  /** Asks Postgres. */
  now(): Promise<number> {
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = undefined)))
  }

  async #ask(): Promise<number> {
    const [row] = await this.#db.$queryRaw<{ ms: number }[]>`
      SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms`
    this.#learn(row!.ms)
    return row!.ms
  }

  #learn(postgresMs: number): void {
    this.#learnedAt = bootMs()
    this.#aheadMs = postgresMs - this.#learnedAt
  }
}
