/**
 * Ownership: who polls which video.
 *
 * A poller keeps one *session* in the OWNERSHIP bucket, renewed by compare-and-set. Each video it
 * owns has an *owner record* naming that session; the record's revision at the claim is the
 * *epoch*, the fencing token. So a poller renews one key, whatever it owns, and an owner record is
 * void once its session is dead.
 *
 * Death is decided, never inferred. A peer that was itself connected throughout, saw no heartbeat
 * for the TTL, and finds in the record the beat it saw last, writes `dead` onto the session by
 * compare-and-set; if the owner renews first, that write fails. A server that was away, a lost key
 * or a clock kills nobody.
 *
 * An owner trusts its session until `start of the last renewal that succeeded + TTL − margin` on
 * the monotonic clock: earlier than any peer may declare it dead, since the peer counts from when
 * it saw that renewal. Past that it must pause by itself. A session found dead or gone is lost for
 * good: the owner drops everything and starts another session.
 *
 * Where the bucket itself was lost and made again, nothing in it tells who still trusts a session
 * of the old one. So for one TTL after its making nobody claims anything (the very first bucket
 * excepted: before it there were no owners).
 *
 * And it may go back, when the server's power fails: what was acknowledged last is not there. So
 * after every connect, the first of a process included, nobody claims for one TTL, within it every
 * owner holds its owner records against what it polls before it trusts its session again, and an
 * owner whose trust had lapsed waits as long, too: its death may have been among what was lost.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { BusUnavailable, type Bus } from '#libs/bus/bus.ts'
import {
  compareAndSet,
  ownerKey,
  ownerRecords,
  ownerSchema,
  read,
  sessionKey,
  sessionSchema,
  type SessionRecord,
} from './records.ts'
import { Peers, type Peer } from './peers.ts'
import { streams } from '#libs/bus/streams.ts'

export interface OwnershipOptions {
  bus: Bus
  clock: Clock
  log: Logger
  /** For people; sessions are told apart by a random id. */
  name: string
  ttlMs: number
  /** How many videos this process owns now. */
  owned(): number
  /**
   * This process's session was declared dead, or its record is gone: drop everything owned under
   * it.
   */
  onLost(): void
  /** A peer's session was found dead. */
  onPeerDead(session: string): void
  /**
   * The owner records that name this session now: whatever else is polled is not owned any more.
   */
  onAudit(owned: Map<string, bigint>): void
}

/** A live owner gives up what it owned at that epoch; whatever it claimed since, it keeps. */
export interface Consent {
  session: string
  epoch: bigint
}

/** Of the bucket that gave a revision. */
const generationIn = (revision: bigint): bigint => revision >> 32n

export class Ownership implements AsyncDisposable {
  readonly #o: OwnershipOptions
  readonly #stop = new AbortController()
  readonly #peers: Peers
  #id = ''
  #revision = 0n
  #beat = 0
  #draining = false
  #trustedUntil = -Infinity
  #claimsFrom = Infinity
  #connectedSince = Infinity
  #connection = 0
  #isAudited = true
  #renewing: Promise<void> = Promise.resolve()
  #loops: Promise<void>[] = []
  #subscription: { stop(): void } | undefined

  constructor(options: OwnershipOptions) {
    this.#o = options
    this.#peers = new Peers({
      ...options,
      own: () => this.#id,
      onDead: (session) => options.onPeerDead(session),
    })
  }

  /** Empty between the loss of one and the opening of the next. */
  get session(): string {
    return this.#id
  }

  /** Grows with every reconnect: what was written under an earlier one may be lost. */
  get connection(): number {
    return this.#connection
  }

  /** Whether what this process owns is still certainly its own. */
  isTrusted(): boolean {
    // rule: an owner acts only while its session is trusted
    return this.#o.clock.now() < this.#trustedUntil
  }

  /** Whether it may bid now. */
  mayClaim(): boolean {
    return this.isTrusted() && !this.#draining && this.#o.clock.now() >= this.#claimsFrom
  }

  /** Milliseconds for which it may not claim yet, as far as that is known; 0 otherwise. */
  claimsInMs(): number {
    const wait = this.#claimsFrom - this.#o.clock.now()
    return Number.isFinite(wait) ? Math.max(0, wait) : 0
  }

  /** The other live sessions, as last heard. */
  peers(): Peer[] {
    return this.#peers.list()
  }

  async start(): Promise<void> {
    const { bus, clock } = this.#o
    this.#subscription = this.#peers.listen()
    bus.onReconnect(() => {
      this.#connection++
      this.#connectedSince = clock.now()
      // rule: nobody claims for one TTL after a reconnect
      this.#claimsFrom = Math.max(this.#claimsFrom, clock.now() + this.#o.ttlMs)
      this.#isAudited = false
      this.#peers.reconnected()
    })
    await this.#open()
    this.#connectedSince = clock.now()
    this.#loops = [this.#renewLoop(), this.#peers.watch(this.#stop.signal)]
  }

  async #open(): Promise<void> {
    const { bus, clock, ttlMs, log } = this.#o
    const { ageMs, generation } = await bus.stateOf(streams.ownership)
    const isVeryFirst = generation === 1 && ageMs < ttlMs
    // rule: nobody claims for one TTL after its start
    const sinceConnected = Number.isFinite(this.#connectedSince)
      ? clock.now() - this.#connectedSince
      : isVeryFirst
        ? ttlMs
        : 0
    // rule: nobody claims in a new bucket for one TTL
    this.#claimsFrom =
      clock.now() + Math.max(0, ttlMs - sinceConnected, generation > 1 ? ttlMs - ageMs : 0)
    const startedAt = clock.now()
    this.#id = clock.uuid()
    this.#beat = 0
    // what stands until the first write is known to have succeeded; a renewal goes on from there
    this.#revision = 0n
    const revision = await compareAndSet(bus, sessionKey(this.#id), this.#record(), 0n)
    if (revision === null) throw new Error('a fresh session id was taken')
    this.#revision = revision
    this.#trust(startedAt)
    log.info({ session: this.#id }, 'session opened')
  }

  #record(): SessionRecord {
    return {
      name: this.#o.name,
      state: this.#draining ? 'draining' : 'live',
      beat: this.#beat,
      owned: this.#o.owned(),
      acceptsClaims: this.#o.clock.now() >= this.#claimsFrom,
    }
  }

  #trust(renewalStartedAt: number): void {
    // rule: trust ends before a peer may declare death
    this.#trustedUntil = renewalStartedAt + this.#o.ttlMs - this.#o.ttlMs / 6
  }

  #renewLoop(): Promise<void> {
    const { clock, bus, ttlMs, log } = this.#o
    const renew = async () => {
      if (bus.isConnected()) await this.#renewOnce()
    }
    const failed = (err: unknown) => log.warn({ err }, 'session not renewed')
    return every(clock, ttlMs / 4, this.#stop.signal, renew, failed)
  }

  /** One renewal at a time. */
  #renewOnce(): Promise<void> {
    const renewal = this.#renewing.then(() => this.#renew())
    this.#renewing = renewal.catch(() => {})
    return renewal
  }

  async #renew(): Promise<void> {
    const { bus, clock, log, onLost } = this.#o
    if (this.#id === '') return this.#open()
    const startedAt = clock.now()
    this.#beat++
    const revision = await compareAndSet(bus, sessionKey(this.#id), this.#record(), this.#revision)
    if (revision !== null) {
      this.#revision = revision
      // rule: trust that had lapsed waits for one TTL after a reconnect
      if ((await this.#audit()) && !this.#mayBeTakenOver()) this.#trust(startedAt)
      return
    }
    const { revision: found, value } = await read(bus, sessionKey(this.#id), sessionSchema)
    if (value && value.state !== 'dead') {
      // an earlier renewal of ours landed after it had timed out, or the server has gone back; the
      // next one proves it
      this.#revision = found
      return
    }
    log.warn({ session: this.#id, state: value?.state ?? 'gone' }, 'session lost')
    this.#trustedUntil = -Infinity
    this.#id = '' // what it was granted and has not heard of yet is void, too
    onLost()
    await this.#open()
  }

  /**
   * Its trust had lapsed, and a server that has gone back does not know any more who took over
   * then: he must have stopped first.
   */
  #mayBeTakenOver(): boolean {
    return !this.isTrusted() && this.#o.clock.now() < this.#claimsFrom
  }

  /** After a reconnect, once. False when there was another one meanwhile. */
  async #audit(): Promise<boolean> {
    // rule: after a reconnect an owner audits its records
    if (this.#isAudited) return true
    const since = this.#connectedSince
    const records = await ownerRecords(this.#o.bus)
    if (since !== this.#connectedSince) return false
    this.#o.onAudit(
      new Map(
        records
          .filter((record) => record.session === this.#id)
          .map((record) => [record.videoId, record.revision]),
      ),
    )
    this.#isAudited = true
    return true
  }

  /**
   * Bids for a video. The epoch when the record now names this session; null when a live session
   * has it, unless that gives it up to us.
   * @throws BusUnavailable when that cannot be known now. A record of ours without an actor (a
   * claim that landed late) is written anew, so that
   * no two actors ever report under one epoch.
   */
  async claim(videoId: string, from?: Consent): Promise<bigint | null> {
    const session = this.#id
    for (let tries = 0; tries < 3; tries++) {
      const { revision, value } = await read(this.#o.bus, ownerKey(videoId), ownerSchema)
      // rule: consent ends with the epoch it was given for
      const isFree =
        value === null ||
        value.session === session ||
        (value.session === from?.session && revision === from.epoch) ||
        (await this.#peers.isDead(value.session))
      // rule: no claim of a live peer’s video
      if (!isFree) return null
      if (session !== this.#id || !this.mayClaim())
        throw new BusUnavailable('the session is not trusted now')
      const epoch = await compareAndSet(this.#o.bus, ownerKey(videoId), { session }, revision)
      // rule: no claim by a session of a lost bucket
      if (epoch !== null && generationIn(epoch) !== generationIn(this.#revision)) {
        await this.release(videoId, epoch)
        throw new BusUnavailable('the bucket was made anew; the session is of the old one')
      }
      if (epoch !== null) return epoch
    }
    throw new BusUnavailable('the owner record keeps changing')
  }

  /** Gives a video up, if it is still ours at that epoch. */
  async release(videoId: string, epoch: bigint): Promise<void> {
    await compareAndSet(this.#o.bus, ownerKey(videoId), null, epoch)
  }

  /** Says to its peers now how many it owns, not only with its next heartbeat. */
  async announce(): Promise<void> {
    if (this.#o.bus.isConnected()) await this.#renewOnce().catch(() => {})
  }

  /** Claims nothing more, and says so to its peers. */
  async beginDrain(): Promise<void> {
    this.#draining = true
    await this.announce()
  }

  /** Ends the session. Whatever is still owned under it is free for peers at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#draining = true
    this.#stop.abort()
    this.#trustedUntil = -Infinity
    this.#subscription?.stop()
    await Promise.allSettled(this.#loops)
    if (this.#id && this.#o.bus.isConnected()) {
      await compareAndSet(
        this.#o.bus,
        sessionKey(this.#id),
        { ...this.#record(), state: 'dead' },
        this.#revision,
      ).catch(() => null)
    }
  }
}
