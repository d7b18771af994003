/**
 * A pool of connections that users share: no user has more than half of them, and users that wait
 * take turns. Whoever waited too long is refused, as by a Postgres that is away: somebody waits for
 * each answer.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'
import { systemClock } from '#libs/runtime/clock.ts'
import { FairSlots, type Slot } from '#libs/runtime/fair-slots.ts'

/** Longer than any statement may take. */
const patienceMs = 30_000
const asking = new AsyncLocalStorage<string>()

/** Whatever `act` asks Postgres from now on is asked for this user. */
export const askingFor = <T>(userId: string, act: () => T): T => asking.run(userId, act)

type Callback = Parameters<pg.Pool['connect']>[0]

export class SharedPool extends pg.Pool {
  readonly #slots: FairSlots
  readonly #held = new WeakMap<pg.PoolClient, Slot>()
  readonly #waitMs: number

  constructor(config: pg.PoolConfig & { max: number }, waitMs: number) {
    super(config)
    const { max } = config
    const share = Math.max(1, Math.floor(max / 2))
    this.#slots = new FairSlots({ clock: systemClock, total: max, share, patienceMs })
    this.#waitMs = waitMs
    this.on('release', (_err, client) => this.#leave(client))
  }

  override connect(): Promise<pg.PoolClient>
  override connect(callback: Callback): void
  override connect(callback?: Callback): Promise<pg.PoolClient> | void {
    if (callback) return this.#connect(callback)
    return new Promise((resolve, reject) =>
      this.#connect((err, client) => (client ? resolve(client) : reject(err))),
    )
  }

  #connect(callback: Callback): void {
    let isLate = false
    const refuse = () => {
      isLate = true
      callback(new Error('timeout exceeded when trying to connect'), undefined, () => {})
    }
    const timer = setTimeout(refuse, this.#waitMs)
    // rule: no user has all connections
    this.#slots.enter(asking.getStore() ?? '', (slot) => {
      clearTimeout(timer)
      if (isLate) return this.#slots.leave(slot)
      super.connect((err, client, release) => {
        if (client) this.#held.set(client, slot)
        else this.#slots.leave(slot)
        callback(err, client, release)
      })
    })
  }

  #leave(client: pg.PoolClient): void {
    const slot = this.#held.get(client)
    this.#held.delete(client)
    if (slot) this.#slots.leave(slot)
  }
}
