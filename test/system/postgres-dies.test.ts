/**
 * No service dies of the death of Postgres, or of one of its sessions, whatever it is doing.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pause, System, until } from '../support/system.ts'

const services = ['gateway', 'submit', 'poller-1', 'poller-2', 'status', 'reconciler']
const system = new System({ POLL_INTERVAL_MS: '500', RECONCILE_INTERVAL_MS: '1000' })
beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 1, maxSeconds: 2, tier: 'off' })
})
afterAll(() => system[Symbol.asyncDispose]())

/** Videos are asked for, read and cancelled all the time, until told to stop. */
function traffic(): { accepted: string[]; stop(): Promise<void> } {
  const accepted: string[] = []
  let isOver = false
  const work = async (cancels: boolean) => {
    while (!isOver) {
      const answer = await system
        .api('POST', system.generatePath(), { prompt: 'x' })
        .catch(() => null)
      if (answer?.status !== 202) {
        await pause(50)
        continue
      }
      const id = String(answer.body['id'])
      accepted.push(id)
      if (cancels) await system.api('POST', `/api/scene-videos/${id}/cancel`, {}).catch(() => null)
    }
  }
  const workers = [work(true), work(true), work(false), work(true)]
  return {
    accepted,
    async stop() {
      isOver = true
      await Promise.all(workers)
    },
  }
}

const pids = () => Object.fromEntries(services.map((name) => [name, system.pid(name)]))
/** A session of ours, whose own end is of no concern. */
async function session<T>(act: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(system.dev.databaseUrl)
  client.on('error', () => {})
  try {
    await client.connect()
    return await act(client)
  } finally {
    await client.end().catch(() => {})
  }
}
const answers = () =>
  until('Postgres to answer', () =>
    session(async (client) => (await client.query('SELECT 1')).rows.length === 1 || undefined),
  )

/** Sends a signal to sessions of others, up to `most`, of whichever role. */
const signal = (name: NodeJS.Signals, most: number) =>
  until('sessions to end', () =>
    session(async (client) => {
      const { rows } = await client.query<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT ${most}`,
      )
      for (const { pid } of rows) process.kill(pid, name)
      return rows.length > 0 || undefined
    }),
  )

const waysToDie: Record<string, () => Promise<unknown>> = {
  'its first process is killed': () => system.kill9('postgres'),
  'one of its sessions is killed': () => signal('SIGKILL', 1),
  'its sessions are ended': () => signal('SIGTERM', 100),
}

it.each(Object.keys(waysToDie))('nobody dies when %s', async (way) => {
  const before = pids()
  expect(Object.values(before).every((pid) => pid > 0)).toBe(true)
  const load = traffic()
  try {
    for (let round = 0; round < 4; round++) {
      await pause(700 + 200 * round)
      await waysToDie[way]!()
      await answers()
    }
    await pause(500)
  } finally {
    await load.stop()
  }
  expect(pids()).toEqual(before)
  expect(load.accepted.length).toBeGreaterThan(0)
  await until(
    'everything accepted to end',
    async () => {
      const { body } = await system.api('GET', `/api/projects/${system.dev.projectId}`)
      const counts = body['counts'] as { pending: number; generating: number }
      return counts.pending + counts.generating === 0 || undefined
    },
    120_000,
  )
})
