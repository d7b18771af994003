/**
 * What of JetStream this system uses, in memory: streams with limits or as work queues, an expected
 * last sequence per subject, one message per subject in a queue, durable consumers with redelivery.
 * Held to a real nats-server by running the same operations on both.
 */
import { AlreadyQueued, Conflict, type StoreOptions } from '#libs/bus/bus.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/topology.ts'
import type { World } from './world.ts'

export interface Message {
  subject: string
  sequence: number
  data: Uint8Array
  headers: Record<string, string>
}

interface StreamRules {
  acceptsClaims(subject: string): boolean
  workQueue: boolean
  onePerSubject: 'newest' | 'first' | null
}

const rules: Record<string, StreamRules> = {
  [streams.outbox]: {
    acceptsClaims: (subject) => subject.startsWith('video.out.'),
    workQueue: false,
    onePerSubject: null,
  },
  [streams.work]: {
    acceptsClaims: (subject) => subject.startsWith('video.work.'),
    workQueue: true,
    onePerSubject: 'first',
  },
  [streams.reports]: {
    acceptsClaims: (subject) => subject.startsWith('video.report.'),
    workQueue: true,
    onePerSubject: null,
  },
  [streams.dead]: {
    acceptsClaims: (subject) => subject.startsWith('video.dead.'),
    workQueue: false,
    onePerSubject: null,
  },
  [streams.ownership]: {
    acceptsClaims: (subject) => subject.startsWith('$KV.'),
    workQueue: false,
    onePerSubject: 'newest',
  },
}
const consumerRules = [
  {
    stream: streams.work,
    name: consumers.submit,
    filter: 'video.work.submit.*',
    ackWaitMs: 15_000,
  },
  {
    stream: streams.work,
    name: consumers.settle,
    filter: 'video.work.settle.*',
    ackWaitMs: 15_000,
  },
  { stream: streams.work, name: consumers.pollers, filter: 'video.work.poll.*', ackWaitMs: 10_000 },
  { stream: streams.reports, name: consumers.status, filter: 'video.report.*', ackWaitMs: 15_000 },
]

/** Whether a subject fits a filter with `*` and `>`. */
export function fits(subject: string, filter: string): boolean {
  if (subject === filter) return true
  const tokens = subject.split('.')
  const wanted = filter.split('.')
  for (const [i, want] of wanted.entries()) {
    if (want === '>') return tokens.length > i
    if (tokens[i] === undefined || (want !== '*' && want !== tokens[i])) return false
  }
  return tokens.length === wanted.length
}

export class Stream {
  readonly rules: StreamRules
  readonly bornAt: number
  readonly generation: number
  readonly messages = new Map<number, Message>()
  readonly #newest = new Map<string, number>()
  readonly #now: () => number
  /** How to take the latest changes back, oldest first. */
  readonly #undo: { at: number; act: () => void }[] = []
  #next: number

  constructor(name: string, generation: number, now: () => number) {
    this.rules = rules[name]!
    this.generation = generation
    this.#now = now
    this.bornAt = now()
    this.#next = name === streams.ownership || name === streams.outbox ? generation * 2 ** 32 : 1
  }

  get lastSequence(): number {
    return this.#next - 1
  }

  /**
   * Its power failed: what it stored and removed since then was acknowledged, and is not so any
   * more.
   */
  rewind(to: number): void {
    while (this.#undo.length && this.#undo.at(-1)!.at > to) this.#undo.pop()!.act()
  }

  #remember(...subjects: string[]): void {
    const next = this.#next
    const newest = subjects.map((subject) => [subject, this.#newest.get(subject)] as const)
    const kept = newest.map(([, sequence]) =>
      sequence === undefined ? undefined : this.messages.get(sequence),
    )
    this.#undo.push({
      at: this.#now(),
      act: () => {
        for (let sequence = next; sequence < this.#next; sequence++) this.messages.delete(sequence)
        this.#next = next
        for (const message of kept) if (message) this.messages.set(message.sequence, message)
        for (const [subject, sequence] of newest) {
          if (sequence === undefined) this.#newest.delete(subject)
          else this.#newest.set(subject, sequence)
        }
      },
    })
    if (this.#undo.length > 5_000) this.#undo.shift()
  }

  newest(filter: string): Message | null {
    const known = filter.includes('*')
      ? this.#newest.get(lastToken(filter))
      : this.#newest.get(filter)
    return known === undefined ? null : (this.messages.get(known) ?? null)
  }

  newestOfEach(filter: string): Message[] {
    const found = new Map<string, Message>()
    for (const message of this.messages.values())
      if (fits(message.subject, filter)) found.set(message.subject, message)
    return [...found.values()]
  }

  add(subject: string, data: Uint8Array, { headers = {}, expect }: StoreOptions): Message {
    if (expect && (this.newest(expect.subject ?? subject)?.sequence ?? 0) !== expect.sequence)
      throw new Conflict(subject)
    if (this.rules.onePerSubject === 'first' && this.newest(subject))
      throw new AlreadyQueued(subject)
    this.#remember(subject, lastToken(subject))
    const message = { subject, sequence: this.#next++, data, headers }
    if (this.rules.onePerSubject === 'newest') {
      const old = this.newest(subject)
      if (old) this.messages.delete(old.sequence)
    }
    this.messages.set(message.sequence, message)
    this.#newest.set(subject, message.sequence)
    if (!this.rules.onePerSubject) this.#newest.set(lastToken(subject), message.sequence)
    return message
  }

  remove(sequence: number): void {
    const message = this.messages.get(sequence)
    if (message) this.#remember(message.subject)
    this.messages.delete(sequence)
    if (message && this.#newest.get(message.subject) === sequence)
      this.#newest.delete(message.subject)
  }
}

/** Wildcards are asked only for "whatever happened to this video", whose id is the last token. */
const lastToken = (subject: string) => `*.${subject.slice(subject.lastIndexOf('.') + 1)}`

export interface Delivered {
  message: Message
  deliveries: number
  done: boolean
}

/** Somebody who takes messages; `room` says whether it takes another one now. */
export interface Member {
  room(): boolean
  deliver(delivered: Delivered, consumer: Consumer): void
}

export class Consumer {
  readonly filter: string
  readonly #world: World
  readonly #stream: Stream
  readonly #ackWaitMs: number
  readonly #waiting: { sequence: number; deliveries: number }[] = []
  readonly #inFlight = new Map<number, { delivered: Delivered; expiry: () => void }>()
  readonly members = new Set<Member>()

  constructor(world: World, stream: Stream, filter: string, ackWaitMs: number) {
    this.#world = world
    this.#stream = stream
    this.filter = filter
    this.#ackWaitMs = ackWaitMs
  }

  offer(sequence: number, deliveries = 0): void {
    this.#waiting.push({ sequence, deliveries })
    this.pump()
  }

  pump(): void {
    while (this.#waiting.length) {
      const ready = [...this.members].filter((member) => member.room())
      if (ready.length === 0) return
      const { sequence, deliveries } = this.#waiting.shift()!
      const message = this.#stream.messages.get(sequence)
      if (!message) continue
      const delivered: Delivered = { message, deliveries: deliveries + 1, done: false }
      this.#inFlight.set(sequence, { delivered, expiry: () => {} })
      this.working(delivered)
      this.#world.pick(ready).deliver(delivered, this)
    }
  }

  #current(delivered: Delivered): boolean {
    return (
      !delivered.done && this.#inFlight.get(delivered.message.sequence)?.delivered === delivered
    )
  }

  /** An ack removes the message whoever it comes from: acks do not fence. */
  ack({ message }: Delivered): void {
    this.#inFlight.get(message.sequence)?.expiry()
    this.#inFlight.delete(message.sequence)
    this.#stream.remove(message.sequence)
  }

  nak(delivered: Delivered, ms: number): void {
    if (!this.#current(delivered)) return
    this.#inFlight.get(delivered.message.sequence)!.expiry()
    this.#inFlight.delete(delivered.message.sequence)
    this.#world.schedule(ms, null, () =>
      this.offer(delivered.message.sequence, delivered.deliveries),
    )
  }

  working(delivered: Delivered): void {
    const entry = this.#inFlight.get(delivered.message.sequence)
    if (entry?.delivered !== delivered) return
    entry.expiry()
    entry.expiry = this.#world.schedule(this.#ackWaitMs, null, () => {
      this.#inFlight.delete(delivered.message.sequence)
      this.offer(delivered.message.sequence, delivered.deliveries)
    })
  }
}

export interface Subscriber {
  filter: string
  queue: string | null
  deliver(message: { subject: string; data: Uint8Array; respond(body: unknown): void }): void
}

export class Broker {
  readonly world: World
  isUp = true
  /** Grows with every start. */
  life = 0
  readonly subscribers = new Set<Subscriber>()
  /** Told of every message stored, before anybody else. */
  onStored: (stream: string, message: Message) => void = () => {}
  #streams = new Map<string, Stream>()
  #consumers = new Map<string, Consumer>()

  constructor(world: World) {
    this.world = world
  }

  /** Makes what is missing, as ensureTopology does; true when anything was. */
  ensure(raiseGeneration: () => number): boolean {
    if (this.#streams.size > 0) return false
    const generation = raiseGeneration()
    for (const name of Object.keys(rules))
      this.#streams.set(name, new Stream(name, generation, () => this.world.now))
    this.#makeConsumers()
    return true
  }

  #makeConsumers(): void {
    for (const { stream: of, name, filter, ackWaitMs } of consumerRules) {
      const stream = this.#streams.get(of)!
      const consumer = new Consumer(this.world, stream, filter, ackWaitMs)
      this.#consumers.set(`${of} ${name}`, consumer)
      for (const message of stream.messages.values())
        if (fits(message.subject, filter)) consumer.offer(message.sequence)
    }
  }

  /** As remakeOwnership does. */
  remake(name: string, generation: number): void {
    this.stream(name) // it is deleted first
    this.#streams.set(name, new Stream(name, generation, () => this.world.now))
  }

  /**
   * A power failure: what happened within the last `ms` is not on disk. Everything is delivered
   * again.
   */
  rewind(ms: number): void {
    for (const stream of this.#streams.values()) stream.rewind(this.world.now - ms)
    if (this.#streams.size > 0) this.#makeConsumers()
  }

  /** Everything a stream holds; nothing where there is none. */
  contentOf(name: string): Message[] {
    return [...(this.#streams.get(name)?.messages.values() ?? [])]
  }

  /** The whole store is lost. */
  wipe(): void {
    this.#streams = new Map()
    this.#consumers = new Map()
  }

  stream(name: string): Stream {
    const stream = this.#streams.get(name)
    if (!stream) throw new Error(`stream ${name} not found`)
    return stream
  }

  consumer(stream: string, name: string): Consumer | undefined {
    return this.#consumers.get(`${stream} ${name}`)
  }

  store(subject: string, data: Uint8Array, options: StoreOptions): number {
    const [name, stream] =
      [...this.#streams].find(([, one]) => one.rules.acceptsClaims(subject)) ?? []
    if (!stream || !name) throw new Error(`no stream takes ${subject}`)
    const message = stream.add(subject, data, options)
    this.onStored(name, message)
    this.publish(subject, data)
    if (stream.rules.workQueue)
      for (const [key, consumer] of this.#consumers)
        if (key.startsWith(`${name} `) && fits(subject, consumer.filter))
          consumer.offer(message.sequence)
    return message.sequence
  }

  /** To every subscriber, and to one of each queue; how many that were. */
  publish(subject: string, data: Uint8Array, respond: (body: unknown) => void = () => {}): number {
    const queues = new Map<string, Subscriber[]>()
    let told = 0
    for (const subscriber of this.subscribers) {
      if (!fits(subject, subscriber.filter)) continue
      if (subscriber.queue !== null)
        queues.set(subscriber.queue, [...(queues.get(subscriber.queue) ?? []), subscriber])
      else subscriber.deliver({ subject, data, respond })
      told++
    }
    for (const members of queues.values())
      this.world.pick(members).deliver({ subject, data, respond })
    return told
  }
}
