/**
 * What of JetStream this system uses, in memory: streams with limits or as work queues, an expected
 * last sequence per subject, one message per subject in a queue, durable consumers with redelivery.
 * Held to a real nats-server by running the same operations on both.
 */
import type { StoreOptions } from '#libs/bus/bus.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { Consumer } from './memory-consumer.ts'
import { fits, rules, Stream, type Message } from './memory-stream.ts'
import type { World } from './world.ts'

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
