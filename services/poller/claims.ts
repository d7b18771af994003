/**
 * A claim: a bid by compare-and-set in KV, then its epoch committed by status, only then the video
 * is hosted. Bids made at about the same time travel to status together. A claim whose outcome is
 * not known is undecided, and made again until it is known: the bid may have landed late, and an
 * owner record of ours for a video that we do not host would keep it from everybody.
 */
import { BusUnavailable, type Bus } from '#libs/bus/bus.ts'
import type { HandedOver, Ownership } from '#libs/ownership/ownership.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { Looks } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import {
  claimReplySchema,
  claimSubject,
  grantSchema,
  type Grant,
} from '#libs/scene-video/messages.ts'
import type { Host } from './host.ts'

export type ClaimOutcome = 'granted' | 'elsewhere' | 'refused' | 'undecided'

export interface ClaimOptions {
  from?: HandedOver
  /** When the video would have been polled next, in ms; soon, when not known. */
  dueInMs?: number
  /** It was probably never claimed before. */
  isNew?: boolean
}

interface Waiting {
  id: string
  epoch: bigint
  resolve(grant: Grant | null | 'undecided'): void
}

const batchWindowMs = 10
const maxBatch = 500
const maxCommitTries = 20
const retryMs = 1_000
/** While nothing is undecided. */
const idleMs = 60_000

export interface ClaimsDeps {
  bus: Bus
  clock: Clock
  ownership: Ownership
  host: Host
  log: Logger
}

export class Claims {
  readonly #options: ClaimsDeps
  readonly #inHand = new Map<string, Promise<ClaimOutcome>>()
  readonly #undecided = new Set<string>()
  #waiting: Waiting[] = []
  #gathering = false
  #retrying: Looks | undefined

  constructor(options: ClaimsDeps) {
    this.#options = options
  }

  /** How many of them were granted. */
  async claimAll(ids: string[]): Promise<number> {
    let granted = 0
    for (let from = 0; from < ids.length; from += maxBatch) {
      const outcomes = await Promise.all(
        ids.slice(from, from + maxBatch).map((id) => this.claim(id)),
      )
      granted += outcomes.filter((outcome) => outcome === 'granted').length
    }
    return granted
  }

  /** One claim per video at a time. Never throws for a broker that is away: that is undecided. */
  claim(id: string, options: ClaimOptions = {}): Promise<ClaimOutcome> {
    const { ownership, host } = this.#options
    if (host.videos.has(id)) return Promise.resolve('granted')
    if (!ownership.mayClaim()) return Promise.resolve('undecided')
    const running = this.#inHand.get(id)
    // rule: one claim per video at a time
    if (running) return running
    const claim = this.#claim(id, options)
      .catch((err: unknown): ClaimOutcome => {
        if (!(err instanceof BusUnavailable))
          this.#options.log.error({ err, video: id }, 'claim failed')
        return 'undecided'
      })
      .then((outcome) => {
        this.#inHand.delete(id)
        if (outcome === 'undecided') this.claimAgain([id])
        return outcome
      })
    this.#inHand.set(id, claim)
    return claim
  }

  async #claim(id: string, { from, dueInMs, isNew }: ClaimOptions): Promise<ClaimOutcome> {
    const { ownership, host } = this.#options
    const { session, connectionNo } = ownership
    const epoch = await ownership.bid(id, from, isNew)
    if (epoch === null) return 'elsewhere'
    crashPoint('claim-written')
    const grant = await this.#commit(id, epoch)
    // rule: a bid written before a reconnect is made again
    const mayBeLost = session !== ownership.session || connectionNo !== ownership.connectionNo
    if (grant === 'undecided' || mayBeLost) return 'undecided'
    if (grant === null) {
      await ownership.release(id, epoch)
      return 'refused'
    }
    crashPoint('claim-granted')
    host.adopt(grant, dueInMs)
    return 'granted'
  }

  /**
   * Of videos whose owner record may name this session while they are not hosted: claims them
   * again, within a second or so, until it is known whose they are.
   */
  claimAgain(ids: string[]): void {
    for (const id of ids) this.#undecided.add(id)
    // rule: an undecided claim is made again soon
    if (ids.length) this.#retrying?.wake()
  }

  /** Makes undecided claims again, until it is disposed of. */
  retryUndecided(): AsyncDisposable {
    const { clock, ownership, log } = this.#options
    const retry = async () => {
      if (!ownership.mayClaim()) return this.#undecided.size > 0
      const ids = [...this.#undecided].slice(0, maxBatch)
      for (const id of ids) this.#undecided.delete(id)
      await Promise.all(ids.map((id) => this.claim(id)))
      return this.#undecided.size > 0
    }
    const onError = (err: unknown) => log.error({ err }, 'undecided claims not made again')
    return (this.#retrying = new Looks({ clock, everyMs: retryMs, idleMs, onError }, retry))
  }

  #commit(id: string, epoch: bigint): Promise<Grant | null | 'undecided'> {
    return new Promise((resolve) => {
      this.#waiting.push({ id, epoch, resolve })
      this.#gather(batchWindowMs)
    })
  }

  #gather(ms: number): void {
    if (this.#gathering) return
    this.#gathering = true
    this.#options.clock.after(ms, () => void this.#flush())
  }

  async #flush(): Promise<void> {
    this.#gathering = false
    const batch = this.#waiting.splice(0, maxBatch)
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
    for (let tries = 0; tries < maxCommitTries && session === ownership.session; tries++) {
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
