/**
 * A tenant whose provider answers as no provider should keeps no other tenant's videos from being
 * polled and cancelled, nor its own from a cancel or a deadline: judged while it goes on. And no
 * video gets another one's task.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { OddProvider, type OddWay } from '../support/odd-provider.ts'
import { System, until } from '../support/system.ts'

const system = new System({
  POLL_INTERVAL_MS: '1000',
  // two pollers: eight queries at once
  POLL_CONCURRENCY: '4',
  CREATE_TIMEOUT_MS: '15000',
  SEND_WINDOW_MS: '5000',
  LOOKUP_WINDOW_MS: '25000',
  ALLOW_PRIVATE_BASE_URLS: 'true',
})
const provider = new OddProvider()

beforeAll(async () => {
  await provider.listen()
  await system.start()
  await system.simulate({ minSeconds: 3, maxSeconds: 5, tier: 'off' })
})
afterAll(async () => {
  await system[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

/** The path to generate a video under, in a project with such a provider. */
async function sceneOf(way: OddWay): Promise<string> {
  const created = async (path: string, body: object) =>
    String((await system.api('POST', path, body)).body['id'])
  const project = await created('/api/projects', { title: way })
  const config = await system.api('PUT', `/api/projects/${project}/ai-config`, {
    provider: 'toapis',
    baseUrl: provider.baseUrl(way),
    apiKey: `sk-of-${way}-0123456789`,
  })
  expect(config.status).toBe(200)
  const script = await created(`/api/projects/${project}/scripts`, { title: 'x' })
  const scene = await created(`/api/projects/${project}/scripts/${script}/scenes`, { prompt: 'x' })
  return `/api/projects/${project}/scripts/${script}/scenes/${scene}/generate-video`
}

const submit = (path: string, count: number, body: object = {}): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, (_, i) => system.submit({ prompt: `x ${i}`, ...body }, path)),
  )
const all = async (ids: string[], is: (id: string) => Promise<boolean>) =>
  (await Promise.all(ids.map(is))).every(Boolean) || undefined
const hasTask = async (id: string) => (await system.video(id)).taskId !== null
const isDone = async (id: string) => (await system.video(id)).status === 'completed'
const hasEnded = async (id: string) =>
  ['completed', 'failed'].includes((await system.video(id)).status)
const codeOf = async (id: string) => (await system.video(id)).error?.code
const cancel = (id: string) => system.api('POST', `/api/scene-videos/${id}/cancel`, {})
const isCancelled = (id: string) =>
  until('the cancel', async () => (await codeOf(id)) === 'cancelled' || undefined, 90_000)

it('polls everybody else while answers drip, are enormous or odd, and cancels and ends their videos', async () => {
  const counts = { dripping: 60, enormous: 30, backslashes: 15 } as const
  const odd = await Promise.all(
    (['dripping', 'enormous', 'backslashes'] as const).map(async (way) => {
      const path = await sceneOf(way)
      return { path, cancelled: await submit(path, counts[way]) }
    }),
  )
  const cancelled = odd.flatMap((one) => one.cancelled)
  await until('tasks at all of them', () => all(cancelled, hasTask), 150_000)
  const late: string[] = []
  for (const { path } of odd) late.push(...(await submit(path, 1, { deadlineSeconds: 30 })))
  const others = await submit(system.generatePath(), 10)
  await until('the others to be done', () => all(others, isDone), 60_000)

  await Promise.all(cancelled.map(cancel))
  await Promise.all(cancelled.map(isCancelled))
  const isLate = async (id: string) => (await codeOf(id)) === 'timed_out'
  await until('the deadlines', () => all(late, isLate), 90_000)
}, 400_000)

it('gives no video the task of another one, where creates are answered twice or with one id', async () => {
  const ways = await Promise.all([sceneOf('twice'), sceneOf('one-id')])
  const twice: string[] = []
  for (let i = 0; i < 20; i++) twice.push(await system.submit({ prompt: `twice ${i}` }, ways[0]))
  const same = await submit(ways[1], 3)
  await until('all to end', () => all([...twice, ...same], hasEnded), 120_000)
  for (const [i, id] of twice.entries()) {
    const { status, taskId, error } = await system.video(id)
    if (status === 'completed') expect(provider.prompts.get(taskId!)).toBe(`twice ${i}`)
    else expect(error?.code).toBe('submission_unknown')
  }
  const ends = await Promise.all(same.map(async (id) => (await codeOf(id)) ?? 'completed'))
  expect(ends.toSorted()).toEqual(['completed', 'submission_unknown', 'submission_unknown'])
}, 400_000)
