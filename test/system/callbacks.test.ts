/**
 * A callback of each task, at a path of its attempt: it has the end asked for at once, by whichever
 * poller owns the video, and finds a create whose answer was lost; one that nobody signed, or at
 * another's path, does nothing.
 */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Callbacks } from '#libs/provider/callbacks.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { Stack } from '../support/gateway-kit.ts'
import { connectNats } from '../support/nats.ts'
import { until, type LedgerRow } from '../support/system.ts'

const port = await freePort()
const stack: Stack = new Stack({
  PORT: String(port),
  PUBLIC_URL: `http://127.0.0.1:${port}`,
  PROVIDERS: 'openrouter,minimax,kling',
  OPENROUTER_API_KEY: 'sk-or-0123456789',
  OPENROUTER_WEBHOOK_SECRET: 'whsec',
  MINIMAX_API_KEY: 'sk-mm-0123456789',
  KLING_API_KEY: 'sk-kl-0123456789',
  // nobody would see an end by polling alone
  POLL_INTERVAL_MS: '120000',
  // of a create whose answer is lost: shorter than a video takes
  CREATE_TIMEOUT_MS: '1000',
  SEND_WINDOW_MS: '1000',
  LOOKUP_WINDOW_MS: '2000',
  get OPENROUTER_BASE_URL() {
    return `${stack.simulatorUrl}/openrouter`
  },
  get KLING_BASE_URL() {
    return `${stack.simulatorUrl}/kling`
  },
  get MINIMAX_BASE_URL() {
    return `${stack.simulatorUrl}/minimax`
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

/** Once the gateway has room for it. */
const make = (prompt: string, durationSeconds?: number, provider?: string): Promise<string> =>
  until('a video to be accepted', async () => {
    const body = { prompt, durationSeconds, provider }
    const answer = await stack.ask('POST', '/api/videos', { body })
    return answer.status === 202 ? String(answer.body['id']) : undefined
  })

it('brings every video to its end, though hardly anybody polls', async () => {
  const ids = await Promise.all(Array.from({ length: 100 }, () => make('x', 5)))
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
})

const ended = (id: string) =>
  until('its end', async () => {
    const row = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })
    return row.status === 'completed' || row.status === 'failed' ? row : undefined
  })
const tasksOf = async (prompt: string) => {
  const ledger = await (await fetch(`${stack.simulatorUrl}/ledger`)).json()
  return (ledger as { tasks: LedgerRow[] }).tasks.filter((task) => task.prompt === prompt)
}

// the second tells an address nothing that did not say its challenge back
it.each(['openrouter', 'minimax'])(
  'finds the task of a create whose answer was lost by its callback: %s',
  async (provider) => {
    const prompt = `lost at ${provider}`
    await stack.simulate({ faults: { acceptThenReset: 1 } })
    const id = await make(prompt, undefined, provider)
    await until('the lost send', async () => (await tasksOf(prompt)).length === 1 || undefined)
    await stack.simulate({ faults: { acceptThenReset: 0 } })
    const row = await ended(id)
    const tasks = await tasksOf(prompt)
    expect(row).toMatchObject({ status: 'completed', taskId: tasks[0]!.task_id, errorCode: null })
    expect(tasks).toHaveLength(1)
  },
)

it('notes what a callback tells after the video failed, and a retry takes that task', async () => {
  const faults = (acceptThenReset: number) => stack.simulate({ faults: { acceptThenReset } })
  await stack.simulate({ minSeconds: 15, maxSeconds: 15 })
  await faults(1)
  const id = await make('late')
  await until('the lost send', async () => (await tasksOf('late')).length === 1 || undefined)
  await faults(0)
  // as if a callback had been waited for in vain
  const intentAt = new Date(Date.now() - 2 * 3_600_000)
  await stack.db.submission.updateMany({ where: { videoId: id }, data: { intentAt } })
  await stack.db.sceneVideo.update({ where: { id }, data: { dueAt: new Date() } })
  expect(await ended(id)).toMatchObject({ status: 'failed', errorCode: 'submission_unknown' })
  const [task] = await tasksOf('late')
  const late = await until('its late result', () =>
    stack.db.timeline
      .findFirst({ where: { videoId: id, kind: 'late' } })
      .then((row) => row ?? undefined),
  )
  expect(late.detail).toMatchObject({ said: 'completed' })
  expect(await ended(id)).toMatchObject({ status: 'failed', errorCode: 'submission_unknown' })
  expect((await stack.ask('POST', `/api/scene-videos/${id}/retry`)).status).toBe(202)
  const row = await until('its retry', async () => {
    const found = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })
    return found.status === 'completed' ? found : undefined
  })
  expect(row).toMatchObject({ attempt: 2, taskId: task!.task_id })
  expect(await tasksOf('late')).toHaveLength(1)
})

const pathOf = (provider: string, id: string) =>
  new Callbacks(`http://127.0.0.1:${port}`, keyEncryptionKey.parse(stack.keyEncryptionKey)).urlOf(
    provider,
    `${id}-1`,
  )!

/** As OpenRouter would tell of this task there. */
async function tell(path: string, taskId: string) {
  const body = JSON.stringify({ data: { id: taskId, status: 'completed' }, nonce: Math.random() })
  const at = Math.floor(Date.now() / 1_000)
  const v1 = createHmac('sha256', 'whsec').update(`${at},${body}`).digest('hex')
  const headers = { 'x-openrouter-signature': `t=${at},v1=${v1}` }
  return (await fetch(path, { method: 'POST', body, headers })).status
}

it('lets nobody settle a lost create but who was told its path, and only by a task of its own', async () => {
  await stack.simulate({ minSeconds: 120, maxSeconds: 120, faults: { acceptThenReset: 1 } })
  const id = await make('of somebody else')
  const send = () => stack.db.submission.findFirst({ where: { videoId: id } })
  await until('its send', async () => (await send()) ?? undefined)
  const { taskId } = await stack.db.sceneVideo.findFirstOrThrow({ where: { status: 'completed' } })
  const path = pathOf('openrouter', id)
  const other = pathOf('openrouter', stack.demo.sceneIds[0]!)
  const forged = path.replace(/[^.]+$/, other.split('.').at(-1)!)
  for (const wrong of [path.replace(/\.[^.]+$/, ''), forged, other])
    expect(await tell(wrong, taskId!)).toBe(204)
  expect(await send()).toMatchObject({ calledTaskId: null })

  expect(await tell(path, taskId!)).toBe(204)
  expect(await send()).toMatchObject({ calledTaskId: taskId, taskId: null })
  const row = await until('its look-up', async () => {
    const found = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })
    return found.waitReason?.includes('looked up') ? found : undefined
  })
  expect(row).toMatchObject({ status: 'pending', taskId: null })
  // it is told once more, and rightly
  const [task] = await tasksOf('of somebody else')
  expect(await tell(path, 'x\0y')).toBe(204)
  expect(await tell(path, task!.task_id)).toBe(204)
  await until('its task', async () => {
    const found = await stack.db.sceneVideo.findUniqueOrThrow({ where: { id } })
    return found.taskId === task!.task_id || undefined
  })
  await stack.ask('POST', `/api/scene-videos/${id}/cancel`)
})

it('has no other video asked about than that of its path, whatever an unsigned body names', async () => {
  await stack.simulate({ faults: { acceptThenReset: 0 } })
  const [mine, other] = [await make('mine', 5, 'kling'), await make('another’s', 5, 'kling')]
  const nats = await connectNats(stack.natsUrl)
  const nudged: string[] = []
  nats.subscribe('video.nudge.*', { callback: (_, { subject }) => nudged.push(subject) })
  await nats.flush()
  const body = JSON.stringify({ id: 'x', status: 'submitted', external_id: `${other}-1` })
  const { status } = await fetch(pathOf('kling', mine), { method: 'POST', body })
  expect(status).toBe(204)
  await until('the hint', () => Promise.resolve(nudged.length > 0 || undefined))
  await nats.close()
  expect(nudged).not.toContain(`video.nudge.${other}`)
})

it('takes no callback that is not signed', async () => {
  const answer = await fetch(
    `http://127.0.0.1:${port}/webhooks/openrouter/01a20dfc-26a3-7015-b732-000000000001-1`,
    { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
  )
  expect(answer.status).toBe(401)
})
