/**
 * A callback of each task, our own id in its path: it has the end asked for at once, by whichever
 * poller owns the video; one that nobody signed does nothing.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '#services/dev/servers/ports.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until, type LedgerRow } from '../support/system.ts'

const port = await freePort()
const stack: Stack = new Stack({
  PORT: String(port),
  PUBLIC_URL: `http://127.0.0.1:${port}`,
  PROVIDERS: 'openrouter',
  OPENROUTER_API_KEY: 'sk-or-0123456789',
  OPENROUTER_WEBHOOK_SECRET: 'whsec',
  // nobody would see an end by polling alone
  POLL_INTERVAL_MS: '120000',
  get OPENROUTER_BASE_URL() {
    return `${stack.simulatorUrl}/openrouter`
  },
})
beforeAll(async () => {
  await stack.start()
  await stack.poller({ PORT: '0' })
  await stack.poller({ PORT: '0' })
  const webhook = { webhookSecret: 'whsec', webhookUrl: null }
  await stack.simulate({ tier: 'off', minSeconds: 4, maxSeconds: 8, ...webhook })
})
afterAll(() => stack[Symbol.asyncDispose]())

type Charged = LedgerRow & { finished_at: string }

it('brings every video to its end, though hardly anybody polls', async () => {
  const made = await Promise.all(
    Array.from({ length: 100 }, () =>
      stack.ask('POST', '/api/videos', { body: { prompt: 'x', durationSeconds: 5 } }),
    ),
  )
  const ids = made.map(({ body }) => String(body['id']))
  const rows = await until(
    'all to be done',
    async () => {
      const found = await stack.db.sceneVideo.findMany({ where: { id: { in: ids } } })
      return found.every(({ status }) => status === 'completed') ? found : undefined
    },
    60_000,
  )
  const { tasks } = (await (await fetch(`${stack.simulatorUrl}/ledger`)).json()) as {
    tasks: Charged[]
  }
  const finished = new Map(tasks.map((one) => [one.task_id, Date.parse(one.finished_at)]))
  const late = rows
    .map((row) => row.completedAt!.getTime() - finished.get(row.taskId!)!)
    .toSorted((a, b) => a - b)
  console.log(`done to completed: p50 ${late[50]} ms, p99 ${late[98]} ms, most ${late[99]} ms`)
}, 120_000)

it('takes no callback that is not signed', async () => {
  const answer = await fetch(
    `http://127.0.0.1:${port}/webhooks/openrouter/01a20dfc-26a3-7015-b732-000000000001-1`,
    { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
  )
  expect(answer.status).toBe(401)
})
