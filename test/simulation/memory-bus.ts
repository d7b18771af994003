/**
 * The broker port of one process in the simulated world: every operation is a call over a bad
 * network to the broker in memory.
 */
import { BusUnavailable, type Bus } from '#libs/bus/bus.ts'
import type { Broker, Subscriber } from './memory-broker.ts'
import { consumeOver } from './memory-consume.ts'
import type { Consumer, Member } from './memory-consumer.ts'
import { Link } from './memory-link.ts'
import { toStored } from './memory-stream.ts'
import type { Process, Weather } from './world.ts'

const encoder = new TextEncoder()
const encode = (body: unknown) => encoder.encode(JSON.stringify(body))
const coreLoss = ({ loss, nudgesLost = 0 }: Weather) => Math.max(loss, nudgesLost)

export interface MemoryBus extends Bus {
  /** Its process has died: nothing reaches it any more. */
  cut(): void
  /** The broker came back. */
  reconnected(): void
}

function requestOver(
  link: Link,
  subject: string,
  body: unknown,
  timeoutMs: number,
): Promise<unknown> {
  const { broker, process } = link
  const { world } = process
  return new Promise((resolve, reject) => {
    if (!link.isUp()) return reject(new BusUnavailable('NATS is not connected'))
    const cancel = world.schedule(timeoutMs, process, () => reject(new BusUnavailable('time-out')))
    const settle = (act: () => void) =>
      link.toProcess(() => {
        cancel()
        act()
      })
    link.toBroker(() => {
      const told = broker.publish(subject, encode(body), (reply) => settle(() => resolve(reply)))
      if (told === 0) settle(() => reject(new BusUnavailable('no responders')))
    })
  })
}

function subscribeOver(
  link: Link,
  [filter, queue, listener]: Parameters<Bus['subscribe']>,
  subscribers: Set<Subscriber>,
): { stop(): void } {
  const { broker } = link
  const subscriber: Subscriber = {
    filter,
    queue,
    deliver: ({ subject, data, respond }) =>
      link.toProcess(() =>
        listener({
          subject,
          data,
          respond: (body) => link.toBroker(() => respond(JSON.parse(JSON.stringify(body)))),
        }),
      ),
  }
  subscribers.add(subscriber)
  broker.subscribers.add(subscriber)
  return {
    stop: () => {
      subscribers.delete(subscriber)
      broker.subscribers.delete(subscriber)
    },
  }
}

export function memoryBus(process: Process, broker: Broker, weather: Weather): MemoryBus {
  const { world } = process
  const link = new Link(process, broker, weather)
  const subscribers = new Set<Subscriber>()
  const memberships = new Map<Consumer, Member>()
  const listeners: (() => void)[] = []

  return {
    isConnected: () => link.isUp() && process.alive,
    mostDelayMs: () => 0,
    onReconnect: (listener) => void listeners.push(listener),
    reconnected: () =>
      world.schedule(world.between(1, 300), process, () => {
        if (!link.renew()) return
        for (const listener of listeners) listener()
      }),
    cut() {
      for (const one of subscribers) broker.subscribers.delete(one)
      for (const [consumer, member] of memberships) consumer.members.delete(member)
    },
    request: (subject, body, timeoutMs = 5_000) => requestOver(link, subject, body, timeoutMs),
    publishCore: (to, body) =>
      link.toBroker(() => broker.publish(to, encode(body)), coreLoss(weather)),
    subscribe: (...args) => subscribeOver(link, args, subscribers),
    store: (subject, data, options = {}) =>
      link.rpc(options.timeoutMs ?? 5_000, () =>
        broker.store(subject, typeof data === 'string' ? encoder.encode(data) : data, options),
      ),
    newest: (stream, subject) =>
      link.rpc(5_000, () => {
        const message = broker.stream(stream).newest(subject)
        return message && toStored(message)
      }),
    newestOfEach: (stream, filter) =>
      link.rpc(5_000, () => broker.stream(stream).newestOfEach(filter).map(toStored)),
    stateOf: (stream) =>
      link.rpc(5_000, () => {
        const { bornAt, generation, lastSequence } = broker.stream(stream)
        const first = broker.contentOf(stream)[0]?.sequence ?? lastSequence + 1
        return { ageMs: world.now - bornAt, generation, firstSequence: first, lastSequence }
      }),
    consume: (...args) =>
      consumeOver(link, args, (consumer, member) => memberships.set(consumer, member)),
    drain: async () => {},
  }
}
