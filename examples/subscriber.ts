/**
 * A durable subscriber: reads every outcome once it is committed, and goes on where it was after a
 * restart.
 *
 *   NATS_URL=nats://127.0.0.1:4222 node examples/subscriber.ts
 *
 * Delivery is at least once: `ce-id` is the idempotency key. Here it guards against repeats within
 * one run; a real consumer keeps it beside its own effect.
 */
import { AckPolicy, connect } from 'nats'

const nc = await connect({
  servers: process.env['NATS_URL'] ?? 'nats://127.0.0.1:4222',
  maxReconnectAttempts: -1,
})
const manager = await nc.jetstreamManager()
await manager.consumers.add('VIDEO', {
  durable_name: 'sample-billing',
  ack_policy: AckPolicy.Explicit,
  filter_subjects: ['video.completed', 'video.failed'],
})
const consumer = await nc.jetstream().consumers.get('VIDEO', 'sample-billing')
const handled = new Set<string>()
const messages = await consumer.consume()
process.once('SIGTERM', () => messages.stop())
process.once('SIGINT', () => messages.stop())

for await (const message of messages) {
  const id = message.headers?.get('ce-id') ?? ''
  const video = message.json<{ id: string; status: string; userId: string }>()
  if (!handled.has(id)) process.stdout.write(`${id} ${video.status} for user ${video.userId}\n`)
  handled.add(id)
  message.ack()
}
await nc.drain()
