/**
 * Whatever is killed, and when: what is spent is what was made costs. Each video, and each attempt
 * that a retry opened, is one `requested` on its timeline.
 */
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pause, System, until } from '../support/system.ts'

const price = 2
const system = new System({ PRICES: `toapis/*=${price}/video`, MAX_SPEND_PER_DAY: '1000000' })
let db: pg.Client
let holder: pg.Client
beforeAll(async () => {
  await system.start()
  const connected = async () => {
    const client = new pg.Client(system.internal.databaseUrl)
    await client.connect()
    return client
  }
  ;[db, holder] = [await connected(), await connected()]
})
afterAll(async () => {
  await db?.end()
  await holder?.end()
  await system[Symbol.asyncDispose]()
})

interface Books {
  made: number
  spent: number
}
/** Both as they were at one moment. */
async function books(): Promise<Books> {
  const { rows } = await db.query<Books>(
    `SELECT (SELECT count(*) FROM "Timeline" WHERE kind = 'requested')::int AS made,
       (SELECT coalesce(sum("monthMicros"), 0) / 1000000 FROM "UserSpend")::float8 AS spent`,
  )
  return rows[0]!
}
async function requireBalance(): Promise<Books> {
  const found = await books()
  expect(found.spent).toBe(found.made * price)
  return found
}

/** Whatever comes of it. */
const asked = (path: string, body: unknown, headers = {}) =>
  system.api('POST', path, body, headers).catch(() => null)

/** Creates, some of them sent again under their key, and retries, until told to stop. */
function traffic(): { stop(): Promise<void> } {
  let isOver = false
  const work = async (prompt: string, path: string) => {
    while (!isOver) {
      const key = { 'idempotency-key': crypto.randomUUID() }
      const first = await asked(path, { prompt }, key)
      const made = first?.status === 202 ? first : await asked(path, { prompt }, key)
      if (made?.status !== 202) await pause(20)
      else await asked(`/api/scene-videos/${String(made.body['id'])}/retry`, {})
    }
  }
  const paths = ['/api/videos', system.generatePath()]
  const workers = paths.flatMap((path) =>
    ['x', '[policy]', 'x', '[policy]'].map((p) => work(p, path)),
  )
  return {
    async stop() {
      isOver = true
      await Promise.all(workers)
    },
  }
}

it.each(['gateway', 'submit'])('under a stream of creates the %s is killed', async (name) => {
  const load = traffic()
  try {
    for (let round = 0; round < 4; round++) {
      const { made } = await requireBalance()
      await until('more to be made', async () => (await books()).made > made + 10 || undefined)
      await pause(Math.random() * 300)
      await system.kill9(name)
    }
  } finally {
    await load.stop()
  }
  await requireBalance()
})

it.each(['gateway', 'submit'])('the %s is killed while charges wait', async (name) => {
  await system.submit({ prompt: 'x' })
  await holder.query('BEGIN')
  await holder.query('SELECT 1 FROM "UserSpend" FOR UPDATE')
  const answers = [1, 2, 3].map(() => asked(system.generatePath(), { prompt: 'x' }))
  const waiting = async () => {
    const { rowCount } = await db.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"UserSpend"%'`,
    )
    return rowCount ?? 0
  }
  await until('charges to wait', async () => (await waiting()) > 0 || undefined)
  const killed = system.kill9(name)
  await holder.query('COMMIT')
  await Promise.all([killed, ...answers])
  await until('them to end', async () => (await waiting()) === 0 || undefined)
  await requireBalance()
})
