/**
 * From a bid to ownership: compare-and-set in KV, then the epoch committed by status, only then an
 * actor. Bids made at about the same time travel to status together. A bid whose outcome is not
 * known is made again until it is: it may have landed late, and a record of ours without an actor
 * would keep the video from everybody.
 */
import { BusUnavailable, type Bus } from '#libs/bus/bus.ts'
import type { HandedOver, Ownership } from '#libs/ownership/lease.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import {
  claimReplySchema,
  claimSubject,
  grantSchema,
  type Grant,
} from '#libs/scene-video/messages.ts'
import type { Host } from './host.ts'

export type BidOutcome = 'granted' | 'elsewhere' | 'refused' | 'undecided'

export interface BidOptions {
  from?: HandedOver
  /** When the video would have been polled next, in ms; soon, when not known. */
  dueInMs?: number
}

interface Waiting {
  id: string
  epoch: bigint
  resolve(grant: Grant | null | 'undecided'): void
}

const gatherMs = 10
const most = 500
const commitTries = 20
const againMs = 1_000

export interface ClaimsOptions {
  bus: Bus
  clock: Clock
  ownership: Ownership
  host: Host
  log: Logger
}

export class Claims {
  readonly #options: ClaimsOptions
  readonly #inHand = new Map<string, Promise<BidOutcome>>()
  readonly #undecided = new Set<string>()
  #waiting: Waiting[] = []
  #gathering = false

  constructor(options: ClaimsOptions) {
    this.#options = options
  }

  /** How many of them were granted. */
  async bidForAll(ids: string[]): Promise<number> {
    let granted = 0
    for (let from = 0; from < ids.length; from += most) {
      const outcomes = await Promise.all(ids.slice(from, from + most).map((id) => this.bid(id)))
      granted += outcomes.filter((outcome) => outcome === 'granted').length
    }
    return granted
  }

  /** One bid per video at a time. Never throws for a broker that is away: that is undecided. */
  bid(id: string, options: BidOptions = {}): Promise<BidOutcome> {
    const { ownership, host } = this.#options
    if (host.videos.has(id)) return Promise.resolve('granted')
    if (!ownership.mayClaim()) return Promise.resolve('undecided')
    const running = this.#inHand.get(id)
    // rule: one bid per video at a time
    if (running) return running
    const bid = this.#bid(id, options)
      .catch((err: unknown): BidOutcome => {
        if (!(err instanceof BusUnavailable))
          this.#options.log.error({ err, video: id }, 'bid failed')
        return 'undecided'
      })
      .then((outcome) => {
        this.#inHand.delete(id)
        if (outcome === 'undecided') this.#undecided.add(id)
        return outcome
      })
    this.#inHand.set(id, bid)
    return bid
  }

  async #bid(id: string, { from, dueInMs }: BidOptions): Promise<BidOutcome> {
    const { ownership, host } = this.#options
    const { session, connection } = ownership
    const epoch = await ownership.claim(id, from)
    if (epoch === null) return 'elsewhere'
    crashPoint('claim-written')
    const grant = await this.#commit(id, epoch)
    // rule: a claim written before a reconnect is made again
    const mayBeLost = session !== ownership.session || connection !== ownership.connection
    if (grant === 'undecided' || mayBeLost) return 'undecided'
    if (grant === null) {
      await ownership.release(id, epoch)
      return 'refused'
    }
    crashPoint('claim-granted')
    host.adopt(grant, dueInMs)
    return 'granted'
  }

  /** Their owner records may name this session while nothing is hosted: to be bid for again. */
  recheck(ids: string[]): void {
    for (const id of ids) this.#undecided.add(id)
  }

  /** Makes undecided bids again, until the signal. */
  settleUndecided(signal: AbortSignal): Promise<void> {
    const { clock, ownership, log } = this.#options
    const settle = async () => {
      if (!ownership.mayClaim()) return
      const ids = [...this.#undecided].slice(0, most)
      for (const id of ids) this.#undecided.delete(id)
      await Promise.all(ids.map((id) => this.bid(id)))
    }
    const failed = (err: unknown) => log.error({ err }, 'undecided bids not made again')
    return every(clock, againMs, signal, settle, failed)
  }

  #commit(id: string, epoch: bigint): Promise<Grant | null | 'undecided'> {
    return new Promise((resolve) => {
      this.#waiting.push({ id, epoch, resolve })
      this.#gather(gatherMs)
    })
  }

  #gather(ms: number): void {
    if (this.#gathering) return
    this.#gathering = true
    this.#options.clock.after(ms, () => void this.#flush())
  }

  async #flush(): Promise<void> {
    this.#gathering = false
    const batch = this.#waiting.splice(0, most)
    if (this.#waiting.length) this.#gather(0)
    const grants = await this.#ask(batch)
    for (const { id, resolve } of batch)
      resolve(grants === null ? 'undecided' : (grants.get(id) ?? null))
  }

  /** Null when status could not be reached, or our session ended, meanwhile. */
  async #ask(batch: Waiting[]): Promise<Map<string, Grant | 'undecided'> | null> {
    const { bus, clock, ownership, log } = this.#options
    const { session } = ownership
    const bids = batch.map(({ id, epoch }) => ({ id, epoch: epoch.toString() }))
    for (let tries = 0; tries < commitTries && session === ownership.session; tries++) {
      try {
        const reply = claimReplySchema.parse(
          await bus.request(claimSubject, { session, bids }, 5_000),
        )
        return new Map<string, Grant | 'undecided'>([
          ...this.#fitting(reply.grants).map((grant) => [grant.id, grant] as const),
          ...reply.undecided.map((id) => [id, 'undecided'] as const),
        ])
      } catch (err) {
        if (tries % 10 === 0) log.warn({ err }, 'claims not committed yet')
        await sleep(250, undefined, clock)
      }
    }
    return null
  }

  /** A grant of a later version that we cannot read is refused: the video goes to who can. */
  #fitting(grants: unknown[]): Grant[] {
    return grants.flatMap((one) => {
      const parsed = grantSchema.safeParse(one)
      if (!parsed.success) this.#options.log.error({ err: parsed.error }, 'a grant does not fit')
      return parsed.success ? parsed.data : []
    })
  }
}
