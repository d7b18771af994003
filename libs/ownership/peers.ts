/**
 * The other sessions, and the verdict on them. A peer is declared dead by whoever was itself
 * connected throughout, has not heard its heartbeat for the TTL, and finds in the record the beat
 * it saw last: by compare-and-set, so that a renewal that comes first wins.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import { every } from '#libs/runtime/every.ts'
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
  /** A peer's session was found dead. */
  onDead(session: string): void
}

interface Heard extends Omit<Peer, 'session'> {
  /** When its record was last seen to change. */
  at: number
  beat: number
}

export class Peers {
  readonly #o: PeersOptions
  readonly #live = new Map<string, Heard>()
  readonly #dead = new Set<string>()
  #connectedSince = Infinity

  constructor(options: PeersOptions) {
    this.#o = options
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
    this.#connectedSince = this.#o.clock.now()
    return this.#o.bus.subscribe(subject('session.*'), null, (message) =>
      this.#hear(message.subject.slice(subject('session.').length), message.data),
    )
  }

  /** Nothing was heard meanwhile, and deaths may have been taken back. */
  reconnected(): void {
    this.#connectedSince = this.#o.clock.now()
    this.#dead.clear()
  }

  /** Looks for silent ones until the signal. */
  watch(signal: AbortSignal): Promise<void> {
    const { bus, clock, ttlMs, log } = this.#o
    let discoverAt = 0
    const look = async () => {
      if (!bus.isConnected()) return
      if (clock.now() >= discoverAt) {
        await this.#discover()
        discoverAt = clock.now() + ttlMs
      }
      await this.#judge()
    }
    return every(clock, 100, signal, look, (err) => log.warn({ err }, 'peers not watched'), 0)
  }

  async isDead(session: string): Promise<boolean> {
    if (this.#dead.has(session)) return true
    const { value } = await read(this.#o.bus, sessionKey(session), sessionSchema)
    return value === null || value.state === 'dead'
  }

  #hear(id: string, data: Uint8Array): void {
    if (id === this.#o.own() || this.#dead.has(id)) return
    const record = data.length ? sessionSchema.safeParse(jsonOf({ data })).data : undefined
    if (record?.state === 'dead') return this.#found(id)
    if (record) this.#note(id, record)
  }

  #note(id: string, { beat, owned, state, acceptsClaims }: SessionRecord): void {
    this.#live.set(id, {
      at: this.#o.clock.now(),
      beat,
      owned,
      draining: state === 'draining',
      acceptsClaims: state === 'live' && acceptsClaims,
    })
  }

  async #discover(): Promise<void> {
    for (const { id, value } of await readAll(this.#o.bus, 'session', sessionSchema)) {
      if (id === this.#o.own()) continue
      if (value.state === 'dead') this.#found(id)
      else if (!this.#live.has(id) && !this.#dead.has(id)) this.#note(id, value)
    }
  }

  #silentFor(id: string): number {
    return this.#o.clock.now() - Math.max(this.#live.get(id)?.at ?? Infinity, this.#connectedSince)
  }

  /** Declares dead whom we, connected throughout, have not heard for the TTL. */
  async #judge(): Promise<void> {
    const { bus, ttlMs, log } = this.#o
    for (const id of this.#live.keys()) {
      if (this.#silentFor(id) < ttlMs) continue
      const { revision, value } = await read(bus, sessionKey(id), sessionSchema)
      if (value === null) {
        this.#live.delete(id)
        continue
      }
      const silentMs = this.#silentFor(id)
      if (value.state !== 'dead') {
        // rule: death needs the beat to stand still
        if (value.beat !== this.#live.get(id)?.beat) {
          this.#note(id, value) // it did renew; only word of it was lost
          continue
        }
        // rule: death needs the whole TTL
        if (silentMs < ttlMs || !bus.isConnected()) continue
        if (
          (await compareAndSet(bus, sessionKey(id), { ...value, state: 'dead' }, revision)) === null
        )
          continue
      }
      log.warn(
        { session: id, name: value.name, silentMs: Math.round(silentMs) },
        'peer declared dead',
      )
      this.#found(id)
    }
  }

  #found(id: string): void {
    this.#live.delete(id)
    if (this.#dead.has(id)) return
    this.#dead.add(id)
    this.#o.onDead(id)
  }
}
