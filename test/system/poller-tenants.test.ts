/**
 * A tenant whose provider never ends its answers keeps no other tenant's videos from being polled,
 * nor its own from a cancel or a deadline: judged while it goes on.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

const system = new System({
  POLL_INTERVAL_MS: '1000',
  // two pollers: eight queries at once
  POLL_CONCURRENCY: '4',
  ALLOW_PRIVATE_BASE_URLS: 'true',
})

/** Accepts every create, and answers queries byte by byte without an end. */
const dripping = createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  if (request.method === 'POST')
    return void response.end(JSON.stringify({ id: `task_${crypto.randomUUID()}` }))
  const drip = setInterval(() => response.write(' '), 200)
  response.on('close', () => clearInterval(drip))
})

beforeAll(async () => {
  await new Promise<void>((done) => dripping.listen(0, '127.0.0.1', done))
  await system.start()
  await system.simulate({ minSeconds: 3, maxSeconds: 5, tier: 'off' })
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  dripping.closeAllConnections()
  await new Promise((done) => dripping.close(done))
})

/** The path to generate a video under, in a project whose provider drips. */
async function drippingScene(): Promise<string> {
  const created = async (path: string, body: object) =>
    String((await system.api('POST', path, body)).body['id'])
  const project = await created('/api/projects', { title: 'dripping' })
  const { port } = dripping.address() as AddressInfo
  const config = await system.api('PUT', `/api/projects/${project}/ai-config`, {
    provider: 'toapis',
    baseUrl: `http://127.0.0.1:${port}/v1`,
    apiKey: 'sk-dripping',
  })
  expect(config.status).toBe(200)
  const script = await created(`/api/projects/${project}/scripts`, { title: 'x' })
  const scene = await created(`/api/projects/${project}/scripts/${script}/scenes`, { prompt: 'x' })
  return `/api/projects/${project}/scripts/${script}/scenes/${scene}/generate-video`
}

const submit = (path: string, count: number, body: object = {}): Promise<string[]> =>
  Promise.all(Array.from({ length: count }, () => system.submit({ prompt: 'x', ...body }, path)))
const all = async (ids: string[], is: (id: string) => Promise<boolean>) =>
  (await Promise.all(ids.map(is))).every(Boolean) || undefined

it('polls everybody else on time, and cancels and ends what waits for the answer', async () => {
  const path = await drippingScene()
  const [cancelled = '', ...dripped] = await submit(path, 80)
  const [late = ''] = await submit(path, 1, { deadlineSeconds: 30 })
  const hasTask = async (id: string) => (await system.video(id)).taskId !== null
  await until('tasks at the dripping provider', () => all([cancelled, late, ...dripped], hasTask))
  const others = await submit(system.generatePath(), 10)
  const isDone = async (id: string) => (await system.video(id)).status === 'completed'
  await until('the others to be done', () => all(others, isDone), 30_000)

  await system.api('POST', `/api/scene-videos/${cancelled}/cancel`, {})
  const code = async (id: string) => (await system.video(id)).error?.code
  await until(
    'the cancel',
    async () => (await code(cancelled)) === 'cancelled' || undefined,
    15_000,
  )
  await until('the deadline', async () => (await code(late)) === 'timed_out' || undefined, 45_000)
})
