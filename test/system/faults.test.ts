/**
 * A provider that misbehaves, pollers that die or freeze, and a broker that goes away: through `npm
 * start`, judged by the ledger.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { defaults } from '#services/provider-simulator/settings.ts'
import { startWithoutCircuit } from '../support/circuits.ts'
import { pause, System, until } from '../support/system.ts'

const system = new System({
  POLL_INTERVAL_MS: '1000',
  RECONCILE_INTERVAL_MS: '5000',
  CREATE_TIMEOUT_MS: '1500',
  LOOKUP_WINDOW_MS: '8000',
})
const submit = (count: number, prompt = 'x') =>
  Promise.all(Array.from({ length: count }, () => system.submit({ prompt })))
const ended = (ids: string[]) =>
  until(
    'all to end',
    async () => {
      const videos = await Promise.all(ids.map((id) => system.video(id)))
      return videos.every((video) => video.status === 'completed' || video.status === 'failed')
        ? videos
        : undefined
    },
    120_000,
  )
const creates = async (id: string) =>
  (await system.ledger()).filter((row) => row.client_business_id.startsWith(id))
const query = async <T extends object>(sql: string): Promise<T[]> => {
  const client = new pg.Client(system.internal.databaseUrl)
  await client.connect()
  try {
    return (await client.query<T>(sql)).rows
  } finally {
    await client.end()
  }
}
const epochs = async () =>
  new Map(
    (await query<{ id: string; epoch: string }>('SELECT id, epoch FROM "SceneVideo"')).map(
      (row) => [row.id, row.epoch],
    ),
  )

beforeAll(async () => {
  await startWithoutCircuit(system)
  await system.simulate({ minSeconds: 3, maxSeconds: 6, tier: 'off' })
})
afterAll(() => system[Symbol.asyncDispose]())

it('pays once where the answer to a create is lost, late, unreadable or an error', async () => {
  await system.simulate({
    lookupLagMs: 1_000,
    faults: {
      acceptThenTimeout: 0.25,
      acceptThenReset: 0.25,
      malformed: 0.1,
      status500: 0.2,
      status503: 0.1,
      status429: 0.1,
    },
  })
  const ids = await submit(40)
  await pause(6_000)
  await system.simulate({ lookupLagMs: 0, faults: defaults.faults })
  for (const video of await ended(ids)) {
    expect(video.status).toBe('completed')
    expect(await creates(video.id), video.id).toHaveLength(1)
  }
})

it('refuses what the provider refuses, and polls an unknown word on to the end', async () => {
  const [policy] = await submit(1, '[policy]')
  const [unknown] = await submit(1, '[unknown]')
  const [first, second] = await ended([policy!, unknown!])
  expect(first).toMatchObject({
    status: 'failed',
    error: { code: 'content_policy' },
    taskId: null,
  })
  expect(second).toMatchObject({ status: 'completed' })
  expect(await creates(policy!)).toHaveLength(0)
})

it('cancels, then retries by taking what the first attempt became instead of paying again', async () => {
  // long enough to be seen at work, also on a busy machine
  await system.simulate({ minSeconds: 8, maxSeconds: 8 })
  const [id] = await submit(1)
  await until('its task', async () =>
    (await system.video(id!)).status === 'generating' ? true : undefined,
  )
  expect((await system.api('POST', `/api/scene-videos/${id}/cancel`, {})).status).toBe(202)
  expect((await ended([id!]))[0]).toMatchObject({
    status: 'failed',
    error: { code: 'cancelled' },
  })
  expect(
    (await system.api('POST', `/api/scene-videos/${id}/retry`, { attempt: 1 })).body,
  ).toMatchObject({ attempt: 2, status: 'pending' })
  expect((await system.api('POST', `/api/scene-videos/${id}/retry`, { attempt: 1 })).status).toBe(
    409,
  )
  expect((await ended([id!]))[0]).toMatchObject({ status: 'completed', attempt: 2 })
  expect(await creates(id!)).toHaveLength(1)
})

it('takes a killed poller’s videos over, and refuses a frozen one’s', async () => {
  await system.simulate({ minSeconds: 20, maxSeconds: 24 })
  const ids = await submit(20)
  await until('all to be polled', async () =>
    (await Promise.all(ids.map((id) => system.video(id)))).every(
      (video) => video.status === 'generating',
    )
      ? true
      : undefined,
  )
  const before = await epochs()
  const frozen = system.pid('poller-1')
  process.kill(frozen, 'SIGSTOP')
  try {
    await until('the peer to take over', async () =>
      [
        ...(await query<{ session: string }>(
          `SELECT DISTINCT session FROM "SceneVideo" WHERE id IN (${ids.map((id) => `'${id}'`).join()})`,
        )),
      ].length === 1
        ? true
        : undefined,
    )
  } finally {
    process.kill(frozen, 'SIGCONT')
  }
  const after = await epochs()
  const moved = ids.filter((id) => BigInt(after.get(id)!) > BigInt(before.get(id)!))
  expect(moved.length).toBeGreaterThan(0)
  await system.kill9('poller-2')
  for (const video of await ended(ids)) {
    expect(video.status).toBe('completed')
    expect(await creates(video.id)).toHaveLength(1)
  }
})

it('moves no video while nats-server is away for longer than the TTL', async () => {
  await system.simulate({ minSeconds: 18, maxSeconds: 20 })
  const ids = await submit(10)
  await until('all to be polled', async () =>
    (await Promise.all(ids.map((id) => system.video(id)))).every(
      (video) => video.status === 'generating',
    )
      ? true
      : undefined,
  )
  const before = await epochs()
  const pid = system.pid('nats')
  process.kill(pid, 'SIGSTOP')
  await pause(9_000)
  process.kill(pid, 'SIGCONT')
  await pause(3_000)
  expect(ids.map((id) => epochsOf(before, id))).toEqual(
    await epochs().then((now) => ids.map((id) => epochsOf(now, id))),
  )
  for (const video of await ended(ids)) expect(video.status).toBe('completed')
})

it('tells the sample subscriber of outcomes, and the README’s commands work', async () => {
  await system.simulate({ minSeconds: 1, maxSeconds: 2 })
  const readme = readFileSync('README.md', 'utf8')
  const sample = /```sh\n(cat > \.reelkeeper\/reel\.sh[\s\S]*?)```/.exec(readme)![1]!
  const run = await output('bash', ['-euc', sample], system.dir)
  expect(run).toContain('"status":"pending"')
  const id = /"id":"([0-9a-f-]{36})"/.exec(run)![1]!
  await ended([id])
  const { NATS_URL: _, ...env } = process.env
  const child = spawn(process.execPath, [resolve('examples/subscriber.ts')], {
    cwd: system.dir,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let told = ''
  child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()))
  try {
    await until('the subscriber to tell', () =>
      told.includes(`${id}:`) && told.includes('completed for user') ? true : undefined,
    )
  } finally {
    child.kill('SIGTERM')
  }
})

const epochsOf = (all: Map<string, string>, id: string) => `${id} ${all.get(id)}`

function output(command: string, args: string[], cwd: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} ended with ${code}: ${text}`)),
    )
  })
}
