/**
 * BullMQ on Redis: one delayed job a task, moved to its next poll by its own handler (the pattern
 * its documentation gives).
 */
import { DelayedError, Queue, Worker } from 'bullmq'
import { answering } from '../lib/answering.ts'
import { answers, firstPolls, intervalMs, pollOnce } from './task.ts'

const connection = {
  host: '127.0.0.1',
  port: Number(process.env['REDIS_PORT']),
  maxRetriesPerRequest: null,
}
const queue = new Queue('poll', { connection })
const worker = new Worker(
  'poll',
  async (job, token) => {
    const { id, dueAt } = job.data
    if (await pollOnce(id, dueAt)) return
    const next = Date.now() + intervalMs
    await job.updateData({ id, dueAt: next })
    await job.moveToDelayed(next, token)
    throw new DelayedError()
  },
  { connection, concurrency: 200 },
)
worker.on('error', () => {})

answering({
  ...answers,
  async load(ids: string[]) {
    const jobs = firstPolls(ids).map(({ id, dueAt }) => ({
      name: 'poll',
      data: { id, dueAt },
      opts: { delay: dueAt - Date.now(), removeOnComplete: true },
    }))
    for (let from = 0; from < jobs.length; from += 1_000)
      await queue.addBulk(jobs.slice(from, from + 1_000))
  },
})
