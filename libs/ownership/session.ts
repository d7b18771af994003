/**
 * This process's own session: opened, renewed, trusted, ended. See doc.md.
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

/** In TTLs: so often, at most, what is polled is held against the owner records. */
const auditEvery = 5

export class Session {
  readonly #options: SessionOptions & { longestTtlMs(): number }
  readonly #stop = new AbortController()
  #id = ''
  #revision = 0n
  #beat = 0
  #draining = false
  #trustedUntil = -Infinity
  /** Nobody claims until the longest TTL after this instant. */
  #quietSince = Infinity
  #connectedSince = Infinity
  #connection = 0
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

  /** Grows with every reconnect: what was written under an earlier one may be lost. */
  get connection(): number {
    return this.#connection
  }

  get revision(): bigint {
    return this.#revision
  }

  /** Whether what this process owns is still certainly its own. */
  isTrusted(): boolean {
    // rule: an owner acts only while its session is trusted
    return this.#options.clock.now() < this.#trustedUntil
  }

  mayClaim(): boolean {
    return this.isTrusted() && !this.#draining && this.#isQuietOver()
  }

  /** Milliseconds for which it may not claim yet, as far as that is known; 0 otherwise. */
  claimsInMs(): number {
    const wait = this.#quietMs()
    return Number.isFinite(wait) ? Math.max(0, wait) : 0
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
      every(clock, ttlMs * auditEvery, signal, audit, failed('owner records not compared')),
    ]
  }

  reconnected(): void {
    this.#connection++
    this.#connectedSince = this.#options.clock.now()
    // rule: nobody claims for one TTL after a reconnect
    this.#quietSince = this.#connectedSince
    this.#audit.reconnected()
  }

  async #open(): Promise<void> {
    const { bus, clock, ttlMs, log, onOpened } = this.#options
    const { ageMs, generation } = await bus.stateOf(streams.ownership)
    const now = clock.now()
    const isVeryFirst = generation === 1 && ageMs < ttlMs
    // rule: nobody claims for one TTL after its start
    const connectedSince = Number.isFinite(this.#connectedSince)
      ? this.#connectedSince
      : isVeryFirst
        ? -Infinity
        : now
    // rule: nobody claims in a new bucket for one TTL
    this.#quietSince = Math.max(connectedSince, generation > 1 ? now - ageMs : -Infinity)
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

  #trust(renewalStartedAt: number): void {
    // rule: trust ends before a peer may declare death
    this.#trustedUntil = renewalStartedAt + this.#options.ttlMs - this.#options.ttlMs / 6
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
      // rule: trust that had lapsed waits for one TTL after a reconnect
      if (!this.#mayBeTakenOver()) this.#trust(startedAt)
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
   * A server that lost its newest writes may have lost our death, and who took over then still
   * trusts itself for up to one TTL.
   */
  #mayBeTakenOver(): boolean {
    return !this.isTrusted() && !this.#isQuietOver()
  }

  /** Says to its peers now how many it owns, not only with its next heartbeat. */
  async announce(): Promise<void> {
    if (this.#options.bus.isConnected()) await this.#renewOnce().catch(() => {})
  }

  /** Claims nothing more, and says so to its peers. */
  async beginDrain(): Promise<void> {
    this.#draining = true
    await this.announce()
  }

  /** Ends it. Whatever is still owned under it is free for peers at once. */
  async end(): Promise<void> {
    this.#draining = true
    this.#stop.abort()
    this.#trustedUntil = -Infinity
    await Promise.allSettled(this.#loops)
    if (!this.#id || !this.#options.bus.isConnected()) return
    const ended: SessionRecord = { ...this.#record(), state: 'dead', stopped: true }
    await compareAndSet(this.#options.bus, sessionKey(this.#id), ended, this.#revision).catch(
      () => null,
    )
  }
}
