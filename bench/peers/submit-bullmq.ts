/** Accepts requests as jobs of BullMQ; nobody takes them. */
import { Queue } from 'bullmq'
import { front } from '../lib/front.ts'

const queue = new Queue('submit', {
  connection: { host: '127.0.0.1', port: Number(process.env['REDIS_PORT']) },
})
await front((id, body) => queue.add('submit', { id, body }))
