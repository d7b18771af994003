/**
 * Which session owns which video: bids for owner records, and gives them up again. An owner record
 * counts for as long as its session's lease. doc.md explains the protocol: session, lease, bid,
 * claim, epoch, fencing.
 */
import { BusUnavailable } from '#libs/bus/bus.ts'
import { Peers, type Peer, type PeersOptions } from './peers.ts'
import { compareAndSet, noRecord, ownerKey, ownerSchema, read } from './records.ts'
import { Session, type SessionOptions } from './session.ts'

export interface OwnershipOptions extends SessionOptions {
  /** A peer's session is dead: whatever it owned is free. `stopped`: it ended itself. */
  onPeerDead: PeersOptions['onDead']
}

/** A live owner hands over what it owned at that epoch; whatever it claimed since, it keeps. */
export interface HandedOver {
  session: string
  epoch: bigint
}

/** The generation of the bucket that issued this revision: its upper 32 bits. */
const generationOf = (revision: bigint): bigint => revision >> 32n

export class Ownership implements AsyncDisposable {
  readonly #options: OwnershipOptions
  readonly #stop = new AbortController()
  readonly #peers: Peers
  readonly #session: Session
  #watching: Promise<void> = Promise.resolve()
  #subscription: { stop(): void } | undefined

  constructor(options: OwnershipOptions) {
    this.#options = options
    this.#peers = new Peers({ ...options, own: () => this.session, onDead: options.onPeerDead })
    this.#session = new Session({
      ...options,
      longestTtlMs: () => Math.max(options.ttlMs, this.#peers.longestTtlMs()),
    })
  }

  /** Empty between the loss of one and the opening of the next. */
  get session(): string {
    return this.#session.id
  }

  /** Counts reconnects: what was written before the newest one may be lost. */
  get connectionNo(): number {
    return this.#session.connectionNo
  }

  /** Whether nobody can have taken over what this process owns. */
  isLeaseValid(): boolean {
    return this.#session.isLeaseValid()
  }

  /**
   * Whether it may bid now: its lease is valid, it does not drain, and the longest TTL has passed
   * since it started, since the last reconnect and since the bucket was created.
   */
  mayClaim(): boolean {
    return this.#session.mayClaim()
  }

  /** For how many milliseconds it may not claim yet; null while not connected, so not known. */
  claimDelayMs(): number | null {
    return this.#session.claimDelayMs()
  }

  /** The other live sessions, as last heard. */
  peers(): Peer[] {
    return this.#peers.list()
  }

  async start(): Promise<void> {
    this.#subscription = this.#peers.listen()
    this.#options.bus.onReconnect(() => {
      this.#session.reconnected()
      this.#peers.reconnected()
    })
    await this.#peers.discover()
    await this.#session.start()
    this.#watching = this.#peers.watch(this.#stop.signal)
  }

  /**
   * Writes this session into the video's owner record, which is the first half of a claim: status
   * has to commit its epoch. Returns that epoch; null when a live session has the video, unless
   * that hands it over to us. A record that names this session already is written again, so that no
   * two hosts ever report under one epoch. `isNew`: there is probably no record yet, so none is
   * read before the first try.
   * @throws BusUnavailable when it may not bid now, or the outcome cannot be known
   */
  async bid(videoId: string, from?: HandedOver, isNew = false): Promise<bigint | null> {
    const { bus } = this.#options
    const { session } = this
    for (let tries = 0; tries < 3; tries++) {
      const { revision, value } =
        isNew && tries === 0 ? noRecord : await read(bus, ownerKey(videoId), ownerSchema)
      // rule: consent ends with the epoch it was given for
      const isFree =
        value === null ||
        value.session === session ||
        (value.session === from?.session && revision === from.epoch) ||
        (await this.#peers.isDead(value.session))
      // rule: no claim of a live peer’s video
      if (!isFree) return null
      if (session !== this.session || !this.mayClaim())
        throw new BusUnavailable('may not bid now: draining, too soon after a start, or no lease')
      const epoch = await compareAndSet(bus, ownerKey(videoId), { session }, revision)
      // rule: no claim by a session of a lost bucket
      if (epoch !== null && generationOf(epoch) !== generationOf(this.#session.revision)) {
        await this.release(videoId, epoch)
        throw new BusUnavailable('the bucket was recreated; the session is of the old one')
      }
      if (epoch !== null) return epoch
    }
    throw new BusUnavailable('the owner record keeps changing')
  }

  /** Gives a video up, if it is still ours at that epoch. */
  async release(videoId: string, epoch: bigint): Promise<void> {
    await compareAndSet(this.#options.bus, ownerKey(videoId), null, epoch)
  }

  /** Renews the session now, which tells its peers how many it owns. */
  heartbeatNow(): Promise<void> {
    return this.#session.heartbeatNow()
  }

  /** Claims nothing more, and says so to its peers. */
  beginDrain(): Promise<void> {
    return this.#session.beginDrain()
  }

  /** Ends the session. Whatever is still owned under it is free for peers at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#subscription?.stop()
    await Promise.allSettled([this.#session.end(), this.#watching])
  }
}
