/**
 * graphile-worker: every poll is a job that runs at its instant; taken and completed in batches
 * (its local queue), made one by one by the handler.
 */
import { run } from 'graphile-worker'
import { answering } from '../lib/answering.ts'
import { answers, databaseUrl, firstPolls, intervalMs, pollOnce, pool } from './task.ts'

interface Payload {
  id: string
  dueAt: number
}

const runner = await run({
  connectionString: databaseUrl,
  noHandleSignals: true,
  preset: {
    worker: {
      concurrentJobs: 100,
      maxPoolSize: 10,
      pollInterval: 500,
      localQueue: { size: 500 },
      completeJobBatchDelay: 5,
      failJobBatchDelay: 5,
    },
  },
  taskList: {
    poll: async (payload, { addJob }) => {
      const { id, dueAt } = payload as Payload
      if (await pollOnce(id, dueAt)) return
      const next = Date.now() + intervalMs
      await addJob('poll', { id, dueAt: next }, { runAt: new Date(next) })
    },
  },
})
void runner.promise.catch(() => {})

answering({
  ...answers,
  async load(ids: string[]) {
    const jobs = firstPolls(ids)
    for (let from = 0; from < jobs.length; from += 1_000) {
      const some = jobs.slice(from, from + 1_000)
      await pool.query(
        `SELECT graphile_worker.add_job('poll', json_build_object('id', t.id, 'dueAt', t.due), run_at := to_timestamp(t.due / 1000)) FROM unnest($1::text[], $2::float8[]) AS t(id, due)`,
        [some.map((one) => one.id), some.map((one) => one.dueAt)],
      )
    }
  },
})
