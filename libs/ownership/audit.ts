/**
 * What is polled, held against the owner records: after every reconnect before the session is
 * trusted again, and every few TTLs in any case, since a word about a revocation may be lost.
 */
import { BusUnavailable, type Bus } from '#libs/bus/bus.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { ownerRecords } from './records.ts'

export interface AuditOptions {
  bus: Bus
  clock: Clock
  /**
   * Hold what is polled against the owner records that name this session, as `read` tells them, by
   * video. Take down what is polled before reading: what is claimed meanwhile may not be listed.
   */
  audit(read: () => Promise<Map<string, bigint>>): Promise<void>
}

/** Listing costs some 15 µs a record: with many, it is done less often. */
const msPerRecord = 10

export class Audit {
  readonly #options: AuditOptions
  readonly #session: () => string
  /** Grows with every reconnect. */
  #connection = 0
  #isDone = true
  #dueAt = -Infinity

  constructor(options: AuditOptions, session: () => string) {
    this.#options = options
    this.#session = session
  }

  /** False from a reconnect to the audit after it. */
  get isDone(): boolean {
    return this.#isDone
  }

  reconnected(): void {
    this.#connection++
    this.#isDone = false
  }

  /** Unless the last one was so dear that it is too early. @throws BusUnavailable */
  async runIfDue(): Promise<void> {
    if (this.#isDone && this.#session() && this.#options.clock.now() >= this.#dueAt)
      await this.run()
  }

  /** @throws BusUnavailable when the records may have changed with a reconnect meanwhile */
  async run(): Promise<void> {
    const { bus, clock, audit } = this.#options
    const [connection, session] = [this.#connection, this.#session()]
    const requireSame = () => {
      if (connection !== this.#connection || session !== this.#session())
        throw new BusUnavailable('a reconnect came between')
    }
    await audit(async () => {
      const records = await ownerRecords(bus)
      requireSame()
      this.#dueAt = clock.now() + records.length * msPerRecord
      const own = records.filter((record) => record.session === session)
      return new Map(own.map((record) => [record.videoId, record.revision]))
    })
    requireSame()
    this.#isDone = true
  }
}
