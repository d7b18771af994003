/**
 * The other sessions, and the verdict on them. A peer is declared dead by whoever was itself
 * connected throughout, has not heard its heartbeat for the TTL, and finds in the record the beat
 * it saw last: by compare-and-set, so that a renewal that comes first wins.
 */
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { jsonOf, type Bus } from '#libs/bus/bus.ts'
import {
  compareAndSet,
  read,
  readAll,
  sessionKey,
  sessionSchema,
  subject,
  type SessionRecord,
} from './records.ts'

export interface Peer {
  session: string
  owned: number
  draining: boolean
  /** Whether it may claim what it is given. */
  acceptsClaims: boolean
}

export interface PeersOptions {
  bus: Bus
  clock: Clock
  log: Logger
  ttlMs: number
  /** Our own session, which is no peer. */
  own(): string
  /** A peer's session was found dead; `stopped`: it was ended in order. */
  onDead(session: string, stopped: boolean): void
}

interface Heard extends Omit<Peer, 'session'> {
  /** When its record was last seen to change. */
  at: number
  beat: number
  ttlMs: number
}

/** Between two looks for silent peers, at least; in milliseconds. */
const leastLookMs = 100
/** While connected every heartbeat is heard; all sessions are read this rarely besides. */
const discoverEveryTtls = 10

export class Peers {
  readonly #options: PeersOptions
  readonly #live = new Map<string, Heard>()
  readonly #dead = new Set<string>()
  #connectedSince = Infinity
  #discoverAt = -Infinity

  constructor(options: PeersOptions) {
    this.#options = options
  }

  /** As last heard. */
  list(): Peer[] {
    return [...this.#live].map(([session, { owned, draining, acceptsClaims }]) => ({
      session,
      owned,
      draining,
      acceptsClaims,
    }))
  }

  /** Hears them from now on. */
  listen(): { stop(): void } {
    this.#connectedSince = this.#options.clock.now()
    return this.#options.bus.subscribe(subject('session.*'), null, (message) =>
      this.#hear(message.subject.slice(subject('session.').length), message.data),
    )
  }

  /** Nothing was heard meanwhile, and deaths may have been taken back. */
  reconnected(): void {
    this.#connectedSince = this.#options.clock.now()
    this.#dead.clear()
    this.#discoverAt = -Infinity
  }

  /** The longest TTL that any of them has told. */
  longestTtlMs(): number {
    return Math.max(0, ...[...this.#live.values()].map((peer) => peer.ttlMs))
  }

  /**
   * Looks for silent ones until the signal: when the first of them may be, and once a TTL. Within a
   * TTL of every connect, all sessions are read.
   */
  async watch(signal: AbortSignal): Promise<void> {
    const { bus, clock, ttlMs, log } = this.#options
    while (!signal.aborted) {
      try {
        if (bus.isConnected() && clock.now() >= this.#discoverAt) await this.discover()
        if (bus.isConnected()) await this.#judge()
      } catch (err) {
        log.warn({ err }, 'peers not watched')
      }
      const next = Math.min(ttlMs, ...[...this.#live.keys()].map((id) => this.#silentInMs(id)))
      await sleep(Math.max(leastLookMs, next), signal, clock)
    }
  }

  async isDead(session: string): Promise<boolean> {
    if (this.#dead.has(session)) return true
    const { value } = await read(this.#options.bus, sessionKey(session), sessionSchema)
    return value === null || value.state === 'dead'
  }

  #hear(id: string, data: Uint8Array): void {
    if (id === this.#options.own() || this.#dead.has(id)) return
    const record = data.length ? sessionSchema.safeParse(jsonOf({ data })).data : undefined
    if (record?.state === 'dead') return this.#found(id, record.stopped)
    if (record) this.#note(id, record)
  }

  #note(id: string, { beat, owned, state, acceptsClaims, ttlMs }: SessionRecord): void {
    this.#live.set(id, {
      at: this.#options.clock.now(),
      beat,
      owned,
      ttlMs,
      draining: state === 'draining',
      acceptsClaims: state === 'live' && acceptsClaims,
    })
  }

  /** Reads of those that were not heard yet. @throws BusUnavailable */
  async discover(): Promise<void> {
    const { bus, clock, ttlMs } = this.#options
    this.#discoverAt = clock.now() + ttlMs * discoverEveryTtls
    const found = await readAll(bus, 'session', sessionSchema).catch((err: unknown) => {
      this.#discoverAt = -Infinity
      throw err
    })
    for (const { id, value } of found) {
      if (id === this.#options.own()) continue
      if (value.state === 'dead') this.#found(id, value.stopped)
      else if (!this.#live.has(id) && !this.#dead.has(id)) this.#note(id, value)
    }
  }

  #silentFor(id: string): number {
    return (
      this.#options.clock.now() - Math.max(this.#live.get(id)?.at ?? Infinity, this.#connectedSince)
    )
  }

  /** How long until it may be declared dead, by the longer of its TTL and ours. */
  #silentInMs(id: string): number {
    // rule: the longer TTL judges
    return Math.max(this.#options.ttlMs, this.#live.get(id)?.ttlMs ?? 0) - this.#silentFor(id)
  }

  /** Declares dead whom we, connected throughout, have not heard for the TTL. */
  async #judge(): Promise<void> {
    const { bus, log } = this.#options
    for (const id of this.#live.keys()) {
      // rule: death needs the whole TTL, second
      if (this.#silentInMs(id) > 0) continue
      const { revision, value } = await read(bus, sessionKey(id), sessionSchema)
      if (value === null) {
        this.#live.delete(id)
        continue
      }
      const silentMs = this.#silentFor(id)
      const isSilent = this.#silentInMs(id) <= 0
      if (value.state !== 'dead') {
        // rule: death needs the beat to stand still
        if (value.beat !== this.#live.get(id)?.beat) {
          this.#note(id, value) // it did renew; only word of it was lost
          continue
        }
        // rule: death needs the whole TTL
        if (!isSilent || !bus.isConnected()) continue
        if (
          (await compareAndSet(bus, sessionKey(id), { ...value, state: 'dead' }, revision)) === null
        )
          continue
      }
      log.warn(
        { session: id, name: value.name, silentMs: Math.round(silentMs) },
        'peer declared dead',
      )
      this.#found(id, value.stopped)
    }
  }

  #found(id: string, stopped: boolean): void {
    this.#live.delete(id)
    if (this.#dead.has(id)) return
    this.#dead.add(id)
    this.#options.onDead(id, stopped)
  }
}
