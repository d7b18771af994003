/**
 * This process's own session and its lease: opened, renewed, ended. See doc.md.
 *
 * A session found dead or gone is lost for good: everything owned under it is dropped, and another
 * one is opened.
 */
import { streams } from '#libs/bus/streams.ts'
import { every } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { Audit, type AuditOptions } from './audit.ts'
import { compareAndSet, read, sessionKey, sessionSchema, type SessionRecord } from './records.ts'

export interface SessionOptions extends AuditOptions {
  log: Logger
  /** For people; sessions are told apart by a random id. */
  name: string
  ttlMs: number
  /** How many videos this process owns now. */
  owned(): number
  /** It was opened, the first time or after the loss of the one before. */
  onOpened(session: string): void
  /** The session was declared dead, or its record is gone: drop everything owned under it. */
  onLost(): void
}

/** At most every so many TTLs, what is polled is compared with the owner records. */
const auditEveryTtls = 5

export class Session {
  readonly #options: SessionOptions & { longestTtlMs(): number }
  readonly #stop = new AbortController()
  #id = ''
  #revision = 0n
  #beat = 0
  #draining = false
  #leaseValidUntil = -Infinity
  /** Nobody claims until the longest TTL after this instant. */
  #quietSince = Infinity
  #connectedSince = Infinity
  #connectionNo = 0
  readonly #audit: Audit
  #renewing: Promise<void> = Promise.resolve()
  #loops: Promise<void>[] = []

  /** `longestTtlMs`: of this session and of its peers. */
  constructor(options: SessionOptions & { longestTtlMs(): number }) {
    this.#options = options
    this.#audit = new Audit(options, () => this.#id)
  }

  /** Empty between the loss of one and the opening of the next. */
  get id(): string {
    return this.#id
  }

  /** Counts reconnects: what was written before the newest one may be lost. */
  get connectionNo(): number {
    return this.#connectionNo
  }

  get revision(): bigint {
    return this.#revision
  }

  /** Whether nobody can have taken over what this process owns. */
  isLeaseValid(): boolean {
    // rule: an owner acts only while its lease is valid
    return this.#options.clock.now() < this.#leaseValidUntil
  }

  mayClaim(): boolean {
    return this.isLeaseValid() && !this.#draining && this.#isQuietOver()
  }

  /** For how many milliseconds it may not claim yet; null while not connected, so not known. */
  claimDelayMs(): number | null {
    const wait = this.#quietMs()
    return Number.isFinite(wait) ? Math.max(0, wait) : null
  }

  #quietMs(): number {
    return this.#quietSince + this.#options.longestTtlMs() - this.#options.clock.now()
  }

  #isQuietOver(): boolean {
    return this.#quietMs() <= 0
  }

  async start(): Promise<void> {
    const { clock, ttlMs, bus, log } = this.#options
    await this.#open()
    this.#connectedSince = clock.now()
    const { signal } = this.#stop
    const renew = async () => bus.isConnected() && (await this.#renewOnce())
    const audit = async () => bus.isConnected() && (await this.#audit.runIfDue())
    const failed = (what: string) => (err: unknown) => log.warn({ err }, what)
    this.#loops = [
      every(clock, ttlMs / 4, signal, renew, failed('session not renewed')),
      every(clock, ttlMs * auditEveryTtls, signal, audit, failed('owner records not compared')),
    ]
  }

  reconnected(): void {
    this.#connectionNo++
    this.#connectedSince = this.#options.clock.now()
    // rule: nobody claims for the longest TTL after a reconnect
    this.#quietSince = this.#connectedSince
    this.#audit.reconnected()
  }

  async #open(): Promise<void> {
    const { bus, clock, ttlMs, log, onOpened } = this.#options
    const { ageMs, generation } = await bus.stateOf(streams.ownership)
    const now = clock.now()
    const isVeryFirst = generation === 1 && ageMs < ttlMs
    // rule: nobody claims for the longest TTL after its start
    const connectedSince = Number.isFinite(this.#connectedSince)
      ? this.#connectedSince
      : isVeryFirst
        ? -Infinity
        : now
    // rule: nobody claims in a new bucket for the longest TTL
    this.#quietSince = Math.max(connectedSince, generation > 1 ? now - ageMs : -Infinity)
    const startedAt = clock.now()
    this.#id = clock.uuid()
    this.#beat = 0
    // what stands until the first write is known to have succeeded; a renewal goes on from there
    this.#revision = 0n
    const revision = await compareAndSet(bus, sessionKey(this.#id), this.#record(), 0n)
    if (revision === null) throw new Error('a fresh session id was taken')
    this.#revision = revision
    this.#extendLease(startedAt)
    log.info({ session: this.#id }, 'session opened')
    onOpened(this.#id)
  }

  #record(): SessionRecord {
    return {
      name: this.#options.name,
      state: this.#draining ? 'draining' : 'live',
      beat: this.#beat,
      owned: this.#options.owned(),
      acceptsClaims: this.#isQuietOver(),
      ttlMs: this.#options.ttlMs,
      stopped: false,
    }
  }

  #extendLease(renewalStartedAt: number): void {
    // rule: a lease ends before a peer may declare death
    this.#leaseValidUntil = renewalStartedAt + this.#options.ttlMs - this.#options.ttlMs / 6
  }

  /** One renewal at a time. */
  #renewOnce(): Promise<void> {
    const renewal = this.#renewing.then(() => this.#renew())
    this.#renewing = renewal.catch(() => {})
    return renewal
  }

  async #renew(): Promise<void> {
    const { bus, clock, log, onLost } = this.#options
    if (this.#id === '') return this.#open()
    const startedAt = clock.now()
    this.#beat++
    const revision = await compareAndSet(bus, sessionKey(this.#id), this.#record(), this.#revision)
    if (revision !== null) {
      this.#revision = revision
      // rule: after a reconnect an owner audits its records
      if (!this.#audit.isDone) await this.#audit.run()
      // rule: a lapsed lease waits for the longest TTL after a reconnect
      if (!this.#mayBeTakenOver()) this.#extendLease(startedAt)
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
    this.#leaseValidUntil = -Infinity
    this.#id = '' // what it was granted and has not heard of yet is void, too
    onLost()
    await this.#open()
  }

  /**
   * A server that lost its newest writes may have lost our death, and the lease of whoever took
   * over then lasts for up to one TTL.
   */
  #mayBeTakenOver(): boolean {
    return !this.isLeaseValid() && !this.#isQuietOver()
  }

  /** Renews now, which tells its peers how many it owns. Never throws. */
  async heartbeatNow(): Promise<void> {
    if (this.#options.bus.isConnected()) await this.#renewOnce().catch(() => {})
  }

  /** Claims nothing more, and says so to its peers. */
  async beginDrain(): Promise<void> {
    this.#draining = true
    await this.heartbeatNow()
  }

  /** Ends it. Whatever is still owned under it is free for peers at once. */
  async end(): Promise<void> {
    this.#draining = true
    this.#stop.abort()
    this.#leaseValidUntil = -Infinity
    await Promise.allSettled(this.#loops)
    if (!this.#id || !this.#options.bus.isConnected()) return
    const ended: SessionRecord = { ...this.#record(), state: 'dead', stopped: true }
    await compareAndSet(this.#options.bus, sessionKey(this.#id), ended, this.#revision).catch(
      () => null,
    )
  }
}
