/** pg-boss: every poll is a job that starts after the interval, taken and made in batches. */
import { PgBoss } from 'pg-boss'
import { answering } from '../lib/answering.ts'
import { answers, databaseUrl, firstPolls, intervalMs, pollOnce } from './task.ts'

interface Data {
  id: string
  dueAt: number
}

const boss = new PgBoss({ connectionString: databaseUrl, max: 10 })
boss.on('error', () => {})
await boss.start()
await boss.createQueue('poll')
const job = (data: Data) => ({ data, startAfter: new Date(data.dueAt).toISOString() })

await boss.work(
  'poll',
  { batchSize: 500, pollingIntervalSeconds: 0.5, localConcurrency: 4 },
  async (jobs) => {
    const again = await Promise.all(
      jobs.map(async ({ data }) =>
        (await pollOnce(data.id, data.dueAt))
          ? []
          : [job({ id: data.id, dueAt: Date.now() + intervalMs })],
      ),
    )
    await boss.insert('poll', again.flat())
  },
)

answering({
  ...answers,
  async load(ids: string[]) {
    const jobs = firstPolls(ids).map(job)
    for (let from = 0; from < jobs.length; from += 1_000)
      await boss.insert('poll', jobs.slice(from, from + 1_000))
  },
})
