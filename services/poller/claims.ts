/**
 * From a bid to ownership: compare-and-set in KV, then the epoch committed by status, only then an actor. Bids made at about the
 * same time travel to status together.
 */
import { BusUnavailable, type Bus } from '#libs/bus/connect.ts'
import type { Ownership } from '#libs/bus/lease.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { claimReplySchema, claimSubject, type Grant } from '#libs/scene-video/messages.ts'
import type { Host } from './host.ts'

export type BidOutcome = 'granted' | 'elsewhere' | 'refused' | 'undecided'

interface Waiting {
  id: string
  epoch: bigint
  resolve(grant: Grant | null | 'undecided'): void
}

const gatherMs = 10
const most = 500
const commitTries = 20

export class Claims {
  readonly #o: { bus: Bus; ownership: Ownership; host: Host; log: Logger }
  #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(options: { bus: Bus; ownership: Ownership; host: Host; log: Logger }) {
    this.#o = options
  }

  async bidForAll(ids: string[]): Promise<void> {
    for (let from = 0; from < ids.length; from += most) {
      await Promise.allSettled(ids.slice(from, from + most).map((id) => this.bid(id)))
    }
  }

  async bid(id: string): Promise<BidOutcome> {
    const { ownership, host } = this.#o
    if (host.videos.has(id)) return 'granted'
    if (!ownership.isTrusted()) return 'undecided'
    const epoch = await ownership.claim(id)
    if (epoch === null) return 'elsewhere'
    crashPoint('claim-written')
    const session = ownership.session
    const grant = await this.#commit(id, epoch)
    if (grant === 'undecided' || session !== ownership.session) return 'undecided'
    if (grant === null) {
      await ownership.release(id, epoch)
      return 'refused'
    }
    crashPoint('claim-granted')
    host.adopt(grant)
    return 'granted'
  }

  #commit(id: string, epoch: bigint): Promise<Grant | null | 'undecided'> {
    return new Promise((resolve) => {
      this.#waiting.push({ id, epoch, resolve })
      this.#timer ??= setTimeout(() => void this.#flush(), gatherMs)
    })
  }

  async #flush(): Promise<void> {
    this.#timer = undefined
    const batch = this.#waiting.splice(0, most)
    if (this.#waiting.length) this.#timer = setTimeout(() => void this.#flush(), 0)
    const grants = await this.#ask(batch)
    for (const { id, resolve } of batch) resolve(grants === null ? 'undecided' : (grants.get(id) ?? null))
  }

  /** Null when status could not be reached, or our session ended, meanwhile. */
  async #ask(batch: Waiting[]): Promise<Map<string, Grant> | null> {
    const { bus, ownership, log } = this.#o
    const { session } = ownership
    const bids = batch.map(({ id, epoch }) => ({ id, epoch: epoch.toString() }))
    for (let tries = 0; tries < commitTries && session === ownership.session; tries++) {
      try {
        const reply = claimReplySchema.parse(await bus.request(claimSubject, { session, bids }, 5_000))
        return new Map(reply.grants.map((grant) => [grant.id, grant]))
      } catch (err) {
        if (!(err instanceof BusUnavailable)) throw err
        if (tries % 10 === 0) log.warn({ err: err.message }, 'claims not committed yet')
        await sleep(250)
      }
    }
    return null
  }
}
