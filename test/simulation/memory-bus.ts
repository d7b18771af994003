/**
 * The broker port of one process in the simulated world: every operation is a call over a bad
 * network to the broker in memory.
 */
import {
  BusUnavailable,
  Conflict,
  AlreadyQueued,
  type Bus,
  type Job,
  type Stored,
} from '#libs/bus/bus.ts'
import type { Broker, Consumer, Delivered, Message, Subscriber } from './memory-broker.ts'
import { call, delayOf, type Process, type Weather } from './world.ts'

const encoder = new TextEncoder()
const encode = (body: unknown) => encoder.encode(JSON.stringify(body))
const toStored = ({ subject, sequence, data, headers }: Message): Stored => ({
  subject,
  sequence,
  data,
  header: (name) => headers[name],
})

const coreLoss = ({ loss, nudgesLost = 0 }: Weather) => Math.max(loss, nudgesLost)

export interface MemoryBus extends Bus {
  /** Its process has died: nothing reaches it any more. */
  cut(): void
  /** The broker came back. */
  reconnected(): void
}

export function memoryBus(process: Process, broker: Broker, weather: Weather): MemoryBus {
  const { world } = process
  const subscribers = new Set<Subscriber>()
  const memberships = new Map<Consumer, { leave(): void }>()
  const listeners: (() => void)[] = []
  /**
   * The connection ends with the server's life, and what is on its way with it; there is another
   * once this process has noticed.
   */
  let life = broker.life
  const isLinked = () => broker.isUp && life === broker.life
  const stillLinked = () => {
    const sent = life
    return () => broker.isUp && sent === broker.life
  }
  const rpc = <T>(timeoutMs: number, execute: () => T): Promise<T> =>
    call(
      process,
      { weather, timeoutMs, isUp: stillLinked(), fail: () => new BusUnavailable('no answer') },
      () => {
        try {
          return execute()
        } catch (err) {
          throw err instanceof Conflict || err instanceof AlreadyQueued
            ? err
            : new BusUnavailable((err as Error).message)
        }
      },
    )
  /** One way, broker to process. */
  const toProcess = (act: () => void) => {
    if (!isLinked() || process.isolated || !process.alive || world.chance(weather.loss)) return
    world.schedule(delayOf(world, weather), process, act)
  }
  /** One way, process to broker; lost when the broker is away. */
  const toBroker = (act: () => void, lost = weather.loss) => {
    if (process.isolated || world.chance(lost)) return
    const arrives = stillLinked()
    world.schedule(delayOf(world, weather), null, () => arrives() && act())
  }

  return {
    isConnected: () => isLinked() && process.alive,
    onReconnect: (listener) => void listeners.push(listener),
    reconnected: () =>
      world.schedule(world.between(1, 300), process, () => {
        if (life === broker.life) return
        life = broker.life
        for (const listener of listeners) listener()
      }),
    cut() {
      for (const one of subscribers) broker.subscribers.delete(one)
      for (const one of memberships.values()) one.leave()
    },
    request(subject, body, timeoutMs = 5_000) {
      return new Promise((resolve, reject) => {
        if (!isLinked()) return reject(new BusUnavailable('NATS is not connected'))
        const cancel = world.schedule(timeoutMs, process, () =>
          reject(new BusUnavailable('time-out')),
        )
        const settle = (act: () => void) =>
          toProcess(() => {
            cancel()
            act()
          })
        toBroker(() => {
          const told = broker.publish(subject, encode(body), (reply) =>
            settle(() => resolve(reply)),
          )
          if (told === 0) settle(() => reject(new BusUnavailable('no responders')))
        })
      })
    },
    publishCore: (to, body) => toBroker(() => broker.publish(to, encode(body)), coreLoss(weather)),
    subscribe(filter, queue, listener) {
      const subscriber: Subscriber = {
        filter,
        queue,
        deliver: ({ subject, data, respond }) =>
          toProcess(() =>
            listener({
              subject,
              data,
              respond: (body) => toBroker(() => respond(JSON.parse(JSON.stringify(body)))),
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
    },
    store: (subject, data, options = {}) =>
      rpc(options.timeoutMs ?? 5_000, () =>
        broker.store(subject, typeof data === 'string' ? encoder.encode(data) : data, options),
      ),
    newest: (stream, subject) =>
      rpc(5_000, () => {
        const message = broker.stream(stream).newest(subject)
        return message && toStored(message)
      }),
    newestOfEach: (stream, filter) =>
      rpc(5_000, () => broker.stream(stream).newestOfEach(filter).map(toStored)),
    stateOf: (stream) =>
      rpc(5_000, () => {
        const { bornAt, generation, lastSequence } = broker.stream(stream)
        const first = broker.contentOf(stream)[0]?.sequence ?? lastSequence + 1
        return { ageMs: world.now - bornAt, generation, firstSequence: first, lastSequence }
      }),
    consume: (stream, name, maxMessages, onMessage) => {
      let stopped = false
      let current: Consumer | undefined
      let fetched = 0
      let queue = Promise.resolve()
      const toJob = (delivered: Delivered, consumer: Consumer): Job => ({
        ...toStored(delivered.message),
        deliveries: delivered.deliveries,
        ack: () => toBroker(() => consumer.ack(delivered)),
        nak: (ms) => toBroker(() => consumer.nak(delivered, ms)),
        term: () => toBroker(() => consumer.ack(delivered)),
        working: () => toBroker(() => consumer.working(delivered)),
      })
      const member = {
        room: () =>
          fetched < maxMessages && isLinked() && process.alive && !process.isolated && !stopped,
        deliver(delivered: Delivered, consumer: Consumer) {
          fetched++
          const arrive = () => {
            queue = queue
              .then(() => (stopped ? Promise.resolve() : onMessage(toJob(delivered, consumer))))
              .then(() => {
                fetched--
                consumer.pump()
              })
          }
          if (world.chance(weather.loss)) return void fetched-- // redelivered when its wait is over
          world.schedule(delayOf(world, weather), process, arrive)
        },
      }
      const attach = () => {
        if (stopped) return
        const consumer = isLinked() ? broker.consumer(stream, name) : undefined
        if (consumer !== current) {
          if (current) current.members.delete(member)
          current = consumer
          if (consumer) {
            consumer.members.add(member)
            memberships.set(consumer, { leave: () => consumer.members.delete(member) })
          }
        }
        consumer?.pump()
        world.schedule(500, process, attach)
      }
      attach()
      return {
        isHealthy: () => current !== undefined,
        async [Symbol.asyncDispose]() {
          stopped = true
          current?.members.delete(member)
          await queue
        },
      }
    },
    drain: async () => {},
  }
}
