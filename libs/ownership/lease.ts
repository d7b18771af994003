/**
 * Who polls which video: claims made and given up under this process's session. doc.md explains the
 * protocol: session, lease, claim, epoch, fencing.
 */
import { BusUnavailable } from '#libs/bus/bus.ts'
import { Peers, type Peer, type PeersOptions } from './peers.ts'
import { compareAndSet, ownerKey, ownerSchema, read } from './records.ts'
import { Session, type SessionOptions } from './session.ts'

export interface OwnershipOptions extends SessionOptions {
  /** A peer's session was found dead: whatever it owned is free. `stopped`: it ended in order. */
  onPeerDead: PeersOptions['onDead']
}

/** A live owner hands over what it owned at that epoch; whatever it claimed since, it keeps. */
export interface HandedOver {
  session: string
  epoch: bigint
}

/** Of the bucket that issued this revision: its upper 32 bits. */
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

  /** Grows with every reconnect: what was written under an earlier one may be lost. */
  get connection(): number {
    return this.#session.connection
  }

  /** Whether what this process owns is still certainly its own. */
  isTrusted(): boolean {
    return this.#session.isTrusted()
  }

  /** Whether it may bid now. */
  mayClaim(): boolean {
    return this.#session.mayClaim()
  }

  /** Milliseconds for which it may not claim yet, as far as that is known; 0 otherwise. */
  claimsInMs(): number {
    return this.#session.claimsInMs()
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
   * Bids for a video. The epoch when the record now names this session; null when a live session
   * has it, unless that hands it over to us. A record that names this session already is written
   * anew, so that no two actors ever report under one epoch.
   * @throws BusUnavailable when that cannot be known now
   */
  async claim(videoId: string, from?: HandedOver): Promise<bigint | null> {
    const { bus } = this.#options
    const { session } = this
    for (let tries = 0; tries < 3; tries++) {
      const { revision, value } = await read(bus, ownerKey(videoId), ownerSchema)
      // rule: consent ends with the epoch it was given for
      const isFree =
        value === null ||
        value.session === session ||
        (value.session === from?.session && revision === from.epoch) ||
        (await this.#peers.isDead(value.session))
      // rule: no claim of a live peer’s video
      if (!isFree) return null
      if (session !== this.session || !this.mayClaim())
        throw new BusUnavailable('the session is not trusted now')
      const epoch = await compareAndSet(bus, ownerKey(videoId), { session }, revision)
      // rule: no claim by a session of a lost bucket
      if (epoch !== null && generationOf(epoch) !== generationOf(this.#session.revision)) {
        await this.release(videoId, epoch)
        throw new BusUnavailable('the bucket was made anew; the session is of the old one')
      }
      if (epoch !== null) return epoch
    }
    throw new BusUnavailable('the owner record keeps changing')
  }

  /** Gives a video up, if it is still ours at that epoch. */
  async release(videoId: string, epoch: bigint): Promise<void> {
    await compareAndSet(this.#options.bus, ownerKey(videoId), null, epoch)
  }

  /** Says to its peers now how many it owns, not only with its next heartbeat. */
  announce(): Promise<void> {
    return this.#session.announce()
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
