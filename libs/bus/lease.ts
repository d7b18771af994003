/**
 * Ownership: who polls which video.
 *
 * A poller keeps one *session* in the OWNERSHIP bucket, renewed by compare-and-set. Each video it owns has an *owner record*
 * naming that session; the record's revision at the claim is the *epoch*, the fencing token. So a poller renews one key,
 * whatever it owns, and an owner record is void once its session is dead.
 *
 * Death is decided, never inferred. A peer that was itself connected throughout and saw no heartbeat for the TTL writes
 * `dead` onto the session by compare-and-set; if the owner renews first, that write fails. A server that was away, a lost
 * key or a clock kills nobody.
 *
 * An owner trusts its session until `start of the last renewal that succeeded + TTL − margin` on the monotonic clock: earlier
 * than any peer may declare it dead, since the peer counts from when it saw that renewal. Past that it must pause by
 * itself. A session found dead or gone is lost for good: the owner drops everything and starts another session.
 */
import { DeliverPolicy, headers, NatsError } from 'nats'
import { z } from 'zod'
import type { Clock } from '#libs/runtime/clock.ts'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Bus } from './connect.ts'
import { ownershipBucket, streams } from './topology.ts'

const sessionSchema = z.object({ name: z.string(), state: z.enum(['live', 'dead']), beat: z.number() })
const ownerSchema = z.object({ session: z.string() })
type SessionRecord = z.infer<typeof sessionSchema>

const subject = (key: string) => `$KV.${ownershipBucket}.${key}`
const sessionKey = (id: string) => `session.${id}`
const ownerKey = (videoId: string) => `owner.${videoId}`
const conflictCodes = new Set([10071, 10164])
const isConflict = (err: unknown) => err instanceof NatsError && conflictCodes.has(err.api_error?.err_code ?? 0)

/** Compare-and-set on one key; the new revision, or null when the key is not at `expected` (0: absent). */
async function compareAndSet(bus: Bus, key: string, value: unknown, expected: bigint, purge = false): Promise<bigint | null> {
  const head = headers()
  head.set('Nats-Expected-Last-Subject-Sequence', String(expected))
  if (purge) {
    head.set('KV-Operation', 'PURGE')
    head.set('Nats-Rollup', 'sub')
    head.set('Nats-TTL', '60s')
  }
  try {
    const ack = await bus.js.publish(subject(key), purge ? '' : JSON.stringify(value), { headers: head, timeout: 2_000 })
    return BigInt(ack.seq)
  } catch (err) {
    if (isConflict(err)) return null
    throw err
  }
}

interface Entry<T> {
  revision: bigint
  /** Null: purged. */
  value: T | null
}

/** The latest record of a key, from the stream's leader; revision 0 when there never was one. */
async function read<T>(bus: Bus, key: string, schema: z.ZodType<T>): Promise<Entry<T>> {
  const manager = await bus.manager()
  try {
    const message = await manager.streams.getMessage(streams.ownership, { last_by_subj: subject(key) })
    const live = !message.header.has('KV-Operation') && !message.header.has('Nats-Marker-Reason')
    const parsed = live ? schema.safeParse(message.json()) : null
    return { revision: BigInt(message.seq), value: parsed?.success ? parsed.data : null }
  } catch (err) {
    if (err instanceof NatsError && err.api_error?.err_code === 10037) return { revision: 0n, value: null }
    throw err
  }
}

export interface OwnerRecord {
  videoId: string
  session: string
  revision: bigint
}

/** Every owner record there is. */
export async function ownerRecords(bus: Bus): Promise<OwnerRecord[]> {
  const found = new Map<string, OwnerRecord>()
  await scan(bus, 'owner.*', (key, revision, data) => {
    const videoId = key.slice('owner.'.length)
    const parsed = data === null ? null : ownerSchema.safeParse(data)
    if (parsed?.success) found.set(videoId, { videoId, revision, session: parsed.data.session })
    else found.delete(videoId)
  })
  return [...found.values()]
}

/** Ids of the sessions, with whether each is alive as recorded. */
export async function sessionStates(bus: Bus): Promise<Map<string, 'live' | 'dead'>> {
  const found = new Map<string, 'live' | 'dead'>()
  await scan(bus, 'session.*', (key, _revision, data) => {
    const parsed = data === null ? null : sessionSchema.safeParse(data)
    if (parsed?.success) found.set(key.slice('session.'.length), parsed.data.state)
  })
  return found
}

/** Removes a dead session that owns nothing any more. */
export async function removeDeadSession(bus: Bus, id: string): Promise<void> {
  const { revision, value } = await read(bus, sessionKey(id), sessionSchema)
  if (value?.state === 'dead') await compareAndSet(bus, sessionKey(id), null, revision, true)
}

async function scan(bus: Bus, keys: string, each: (key: string, revision: bigint, data: unknown) => void): Promise<void> {
  const consumer = await bus.js.consumers.get(streams.ownership, { filterSubjects: subject(keys), deliver_policy: DeliverPolicy.LastPerSubject })
  const info = await consumer.info()
  let left = info.num_pending
  if (left > 0) {
    const messages = await consumer.consume({ max_messages: 5_000, expires: 5_000, idle_heartbeat: 1_000 })
    const guard = setTimeout(() => messages.stop(), 10_000)
    for await (const message of messages) {
      const live = message.data.length > 0 && !message.headers?.has('KV-Operation')
      each(message.subject.slice(subject('').length), BigInt(message.seq), live ? message.json() : null)
      if (--left <= 0 || message.info.pending === 0) break
    }
    clearTimeout(guard)
    messages.stop()
  }
  await consumer.delete().catch(() => {})
}

export interface OwnershipOptions {
  bus: Bus
  clock: Clock
  log: Logger
  /** For people; sessions are told apart by a random id. */
  name: string
  ttlMs: number
  /** This process's session was declared dead, or its record is gone: drop everything owned under it. */
  onLost(): void
  /** A peer's session was found dead. */
  onPeerDead(session: string): void
}

export class Ownership implements AsyncDisposable {
  readonly #o: OwnershipOptions
  readonly #stop = new AbortController()
  readonly #peers = new Map<string, number>()
  readonly #dead = new Set<string>()
  #id = ''
  #revision = 0n
  #beat = 0
  #trustedUntil = -Infinity
  #connectedSince = Infinity
  #loops: Promise<void>[] = []
  #subscription: { unsubscribe(): void } | undefined

  constructor(options: OwnershipOptions) {
    this.#o = options
  }

  get session(): string {
    return this.#id
  }

  /** Whether what this process owns is still certainly its own. */
  isTrusted(): boolean {
    return this.#o.clock.now() < this.#trustedUntil
  }

  /** Live sessions, this one included: the share of a budget each has. */
  livePeers(): number {
    return this.#peers.size + 1
  }

  async start(): Promise<void> {
    const { bus, clock } = this.#o
    this.#subscription = bus.nc.subscribe(subject('session.*'), {
      callback: (err, message) => {
        const id = message.subject.slice(subject('session.').length)
        if (!err && id !== this.#id && !this.#dead.has(id)) this.#peers.set(id, clock.now())
      },
    })
    bus.onReconnect(() => (this.#connectedSince = clock.now()))
    await this.#open()
    this.#connectedSince = clock.now()
    this.#loops = [this.#renewLoop(), this.#watchLoop()]
  }

  async #open(): Promise<void> {
    const startedAt = this.#o.clock.now()
    this.#id = crypto.randomUUID()
    this.#beat = 0
    const revision = await compareAndSet(this.#o.bus, sessionKey(this.#id), this.#record(), 0n)
    if (revision === null) throw new Error('a fresh session id was taken')
    this.#revision = revision
    this.#trust(startedAt)
    this.#o.log.info({ session: this.#id }, 'session opened')
  }

  #record(): SessionRecord {
    return { name: this.#o.name, state: 'live', beat: this.#beat }
  }

  #trust(renewalStartedAt: number): void {
    this.#trustedUntil = renewalStartedAt + this.#o.ttlMs - this.#o.ttlMs / 6
  }

  async #renewLoop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await sleep(this.#o.ttlMs / 5, this.#stop.signal)
      if (this.#stop.signal.aborted) return
      if (!this.#o.bus.isConnected()) continue
      await this.#renew().catch((err: unknown) => this.#o.log.warn({ err: (err as Error).message }, 'session not renewed'))
    }
  }

  async #renew(): Promise<void> {
    const startedAt = this.#o.clock.now()
    this.#beat++
    const revision = await compareAndSet(this.#o.bus, sessionKey(this.#id), this.#record(), this.#revision)
    if (revision !== null) {
      this.#revision = revision
      return this.#trust(startedAt)
    }
    const { revision: found, value } = await read(this.#o.bus, sessionKey(this.#id), sessionSchema)
    if (value?.state === 'live') {
      this.#revision = found // an earlier renewal of ours landed after it had timed out; the next one proves it
      return
    }
    this.#o.log.warn({ session: this.#id, state: value?.state ?? 'gone' }, 'session lost')
    this.#trustedUntil = -Infinity
    this.#o.onLost()
    await this.#open()
  }

  async #watchLoop(): Promise<void> {
    let discoverAt = 0
    while (!this.#stop.signal.aborted) {
      if (this.#o.bus.isConnected()) {
        try {
          if (this.#o.clock.now() >= discoverAt) {
            await this.#discover()
            discoverAt = this.#o.clock.now() + this.#o.ttlMs
          }
          await this.#judge()
        } catch (err) {
          this.#o.log.warn({ err: (err as Error).message }, 'peers not watched')
        }
      }
      await sleep(100, this.#stop.signal)
    }
  }

  async #discover(): Promise<void> {
    for (const [id, state] of await sessionStates(this.#o.bus)) {
      if (id === this.#id) continue
      if (state === 'dead') this.#found(id)
      else if (!this.#peers.has(id)) this.#peers.set(id, this.#o.clock.now())
    }
  }

  /** Declares dead whom we, connected throughout, have not heard for the TTL. */
  async #judge(): Promise<void> {
    const { bus, clock, ttlMs, log } = this.#o
    for (const [id, heardAt] of this.#peers) {
      if (clock.now() - Math.max(heardAt, this.#connectedSince) < ttlMs) continue
      const { revision, value } = await read(bus, sessionKey(id), sessionSchema)
      if (value === null) {
        this.#peers.delete(id)
        continue
      }
      const silentFor = clock.now() - Math.max(this.#peers.get(id) ?? heardAt, this.#connectedSince)
      if (value.state === 'live' && (silentFor < ttlMs || !bus.isConnected())) continue
      if (value.state === 'live' && (await compareAndSet(bus, sessionKey(id), { ...value, state: 'dead' }, revision)) === null) continue
      log.warn({ session: id, name: value.name, silentMs: Math.round(silentFor) }, 'peer declared dead')
      this.#found(id)
    }
  }

  #found(id: string): void {
    this.#peers.delete(id)
    if (this.#dead.has(id)) return
    this.#dead.add(id)
    this.#o.onPeerDead(id)
  }

  /**
   * Bids for a video. The epoch when the record now names this session; null when a live session has it.
   * A record of ours without an actor (a claim that landed late) is simply ours.
   */
  async claim(videoId: string): Promise<bigint | null> {
    const { revision, value } = await read(this.#o.bus, ownerKey(videoId), ownerSchema)
    if (value && value.session === this.#id) return revision
    if (value && !(await this.#isDead(value.session))) return null
    return compareAndSet(this.#o.bus, ownerKey(videoId), { session: this.#id }, revision)
  }

  async #isDead(session: string): Promise<boolean> {
    if (this.#dead.has(session)) return true
    const { value } = await read(this.#o.bus, sessionKey(session), sessionSchema)
    return value === null || value.state === 'dead'
  }

  /** Gives a video up, if it is still ours at that epoch. */
  async release(videoId: string, epoch: bigint): Promise<void> {
    await compareAndSet(this.#o.bus, ownerKey(videoId), null, epoch, true)
  }

  /** Ends the session. Whatever is still owned under it is free for peers at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#trustedUntil = -Infinity
    this.#subscription?.unsubscribe()
    await Promise.allSettled(this.#loops)
    if (this.#id && this.#o.bus.isConnected()) {
      await compareAndSet(this.#o.bus, sessionKey(this.#id), { ...this.#record(), state: 'dead' }, this.#revision).catch(() => null)
    }
  }
}
