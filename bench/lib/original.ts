/**
 * The original design: a timer, a `fetch` and an update through Prisma for every poll of every
 * video, all of it in the memory of one process.
 */
import { openDatabase } from '#libs/store/connect.ts'
import { answering } from './answering.ts'
import {
  answers,
  databaseUrl,
  firstPolls,
  intervalMs,
  isDone,
  lateness,
  pool,
  type Answer,
} from '../peers/task.ts'

const db = openDatabase(databaseUrl, 10)
const url = process.env['PROVIDER_URL']!
const polling = new Set<string>()
let polls = 0

function startPolling(id: string, taskId: string, dueAt: number): void {
  polling.add(id)
  setTimeout(
    () =>
      void pollOnce(id, taskId, dueAt).catch(() =>
        startPolling(id, taskId, Date.now() + intervalMs),
      ),
    dueAt - Date.now(),
  )
}

async function pollOnce(id: string, taskId: string, dueAt: number): Promise<void> {
  lateness.add(Math.max(0, Date.now() - dueAt))
  const response = await fetch(`${url}/v1/videos/generations/${taskId}`, {
    headers: { authorization: 'Bearer sk-bench' },
  })
  const { status, progress } = (await response.json()) as Answer
  polls++
  const done = isDone(status)
  await db.sceneVideo.update({
    where: { id },
    data: {
      status: done ? 'completed' : 'generating',
      phase: done ? 'done' : 'running',
      progress,
      updatedAt: new Date(),
    },
  })
  if (!done) return startPolling(id, taskId, Date.now() + intervalMs)
  polling.delete(id)
  await pool.query('SELECT pg_notify($1, $2)', ['bench_ended', taskId])
}

answering({
  ...answers,
  polls: () => polls,
  async load(taskIds: string[]) {
    const rows = await db.sceneVideo.findMany({
      where: { taskId: { in: taskIds } },
      select: { id: true, taskId: true },
    })
    const ids = new Map(rows.map((row) => [row.taskId, row.id]))
    for (const { id, dueAt } of firstPolls(taskIds)) startPolling(ids.get(id)!, id, dueAt)
  },
})
