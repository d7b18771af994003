/**
 * What every contestant does with one task, so that only the way of waiting differs: ask the
 * provider, record what changed, tell who listens. One row, one `UPDATE` by primary key, one
 * `NOTIFY` at the end. Ours and the peers poll with undici; only the original design used `fetch`.
 */
import { Agent, request } from 'undici'
import pg from 'pg'
import { Sample } from '../lib/numbers.ts'

export const intervalMs = Number(process.env['INTERVAL_MS'])
export const databaseUrl = process.env['DATABASE_URL']!
const url = process.env['PROVIDER_URL']!
const agent = new Agent({ connections: 200, keepAliveTimeout: 30_000 })
export const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
const seen = new Map<string, string>()

export const lateness = new Sample()
export let polls = 0

export interface Answer {
  id: string
  status: string
  progress: number
}

export const isDone = (status: string) => status === 'completed' || status === 'failed'

/** Polls once, `dueAt` being when it should have been (ms, Unix). True when the task has ended. */
export async function pollOnce(id: string, dueAt: number): Promise<boolean> {
  lateness.add(Math.max(0, Date.now() - dueAt))
  const { body } = await request(`${url}/v1/videos/generations/${id}`, {
    dispatcher: agent,
    headers: { authorization: 'Bearer sk-bench' },
  })
  const { status, progress } = (await body.json()) as Answer
  polls++
  const now = `${status} ${progress}`
  if (seen.get(id) === now) return false
  seen.set(id, now)
  await pool.query(
    'UPDATE bench_task SET status = $2, progress = $3, updated_at = now() WHERE id = $1',
    [id, status, progress],
  )
  if (!isDone(status)) return false
  seen.delete(id)
  await pool.query('SELECT pg_notify($1, $2)', ['bench_ended', id])
  return true
}

/**
 * When each task is polled first: spread over one interval, as if they had come one after another.
 */
export const firstPolls = (ids: string[]): { id: string; dueAt: number }[] =>
  ids.map((id, i) => ({ id, dueAt: Date.now() + (intervalMs * i) / ids.length }))

export const answers = { lateness: () => lateness.take(), polls: () => polls }
