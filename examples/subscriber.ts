/**
 * A durable subscriber: reads every outcome once it is committed, and goes on where it was after a
 * restart.
 *
 *   npm run example:subscriber            # of the system that `npm start` runs
 *   NATS_URL=nats://user:password@host:4222 npm run example:subscriber
 *
 * Delivery is at least once: `ce-id` is the idempotency key. Here it guards against repeats within
 * one run; a real consumer keeps it beside its own effect.
 */
import { readFile } from 'node:fs/promises'
import { AckPolicy, connect } from 'nats'

async function address(): Promise<URL> {
  if (process.env['NATS_URL']) return new URL(process.env['NATS_URL'])
  const dev = JSON.parse(await readFile('.reelkeeper/dev.json', 'utf8')) as { natsUrl: string }
  return new URL(dev.natsUrl)
}

const { host, username, password } = await address()
const nc = await connect({
  servers: host,
  ...(username ? { user: decodeURIComponent(username), pass: decodeURIComponent(password) } : {}),
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
