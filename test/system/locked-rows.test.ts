/**
 * One row that is locked, or a submit that stands still inside a transaction, delays no other
 * video: judged while it is so.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

const system = new System({ POLL_INTERVAL_MS: '500' })
beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 2, maxSeconds: 3, tier: 'off' })
})
afterAll(() => system[Symbol.asyncDispose]())

const submitted = (count: number): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, () => system.submit({ prompt: 'x', durationSeconds: 5 })),
  )
const isEnded = async (id: string) => (await system.video(id)).status === 'completed'
const allEnded = async (ids: string[]) => (await Promise.all(ids.map(isEnded))).every(Boolean)
const hasTask = async (id: string) => (await system.video(id)).taskId !== null || undefined

async function lock(id: string): Promise<pg.Client> {
  const client = new pg.Client(system.internal.databaseUrl)
  await client.connect()
  await client.query('BEGIN')
  await client.query('SELECT 1 FROM "SceneVideo" WHERE id = $1 FOR UPDATE', [id])
  return client
}

it('records every other video while one row is locked, and that one afterwards', async () => {
  const [held = '', ...others] = await submitted(30)
  await until('a task', () => hasTask(held))
  const client = await lock(held)
  await until('the others to end', async () => (await allEnded(others)) || undefined, 30_000)
  expect(await isEnded(held)).toBe(false)
  await client.end()
  await until('the one to end', async () => (await isEnded(held)) || undefined, 30_000)
})

it('records every video while submit stands still inside a transaction', async () => {
  const [held = '', ...others] = await submitted(30)
  await until('a task', () => hasTask(held))
  await until(
    'all tasks',
    async () => (await Promise.all(others.map(hasTask))).every(Boolean) || undefined,
  )
  const client = await lock(held)
  const cancelling = system.api('POST', `/api/scene-videos/${held}/cancel`, {}).catch(() => null)
  const waits = async () => {
    const { rows } = await client.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    )
    return rows.length > 0 || undefined
  }
  await until('the cancel to wait for the row', waits)
  const submit = system.dev.processes.find((one) => one.name === 'submit')!.pid
  process.kill(submit, 'SIGSTOP')
  try {
    await client.end() // the row is submit's now, which says nothing more
    await until('the others to end', async () => (await allEnded(others)) || undefined, 30_000)
    await until('the one to end, too', async () => (await isEnded(held)) || undefined, 30_000)
  } finally {
    process.kill(submit, 'SIGCONT')
    await cancelling
  }
})
