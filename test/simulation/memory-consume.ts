/** How one process takes part in a durable consumer of the broker in memory. */
import type { Bus, Job } from '#libs/bus/bus.ts'
import type { Consumer, Delivered, Member } from './memory-consumer.ts'
import type { Link } from './memory-link.ts'
import { toStored } from './memory-stream.ts'
import { delayOf } from './world.ts'

/** A process' membership of a consumer; `joined` is told of each it joins. */
export function consumeOver(
  link: Link,
  [stream, name, maxMessages, onMessage]: Parameters<Bus['consume']>,
  joined: (consumer: Consumer, member: Member) => void,
): ReturnType<Bus['consume']> {
  const { process, broker, weather } = link
  const { world } = process
  let stopped = false
  let current: Consumer | undefined
  let fetched = 0
  let queue = Promise.resolve()
  const toJob = (delivered: Delivered, consumer: Consumer): Job => ({
    ...toStored(delivered.message),
    deliveries: delivered.deliveries,
    ack: () => link.toBroker(() => consumer.ack(delivered)),
    nak: (ms) => link.toBroker(() => consumer.nak(delivered, ms)),
    term: () => link.toBroker(() => consumer.ack(delivered)),
    working: () => link.toBroker(() => consumer.working(delivered)),
  })
  const member = {
    room: () =>
      fetched < maxMessages && link.isUp() && process.alive && !process.isolated && !stopped,
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
    const consumer = link.isUp() ? broker.consumer(stream, name) : undefined
    if (consumer !== current) {
      if (current) current.members.delete(member)
      current = consumer
      if (consumer) {
        consumer.members.add(member)
        joined(consumer, member)
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
}
