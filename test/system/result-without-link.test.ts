/** A provider that calls a task done before it tells of a link, and the retry of such a video. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const links = new Map<string, string>()
const created: string[] = []
const provider = createServer((question, answer) => {
  const told = (status: number, body: object) =>
    void answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  question.resume()
  if (question.method === 'POST') {
    const id = `task_${created.length}`
    created.push(id)
    return told(200, { id, object: 'generation.task', status: 'queued', progress: 0 })
  }
  const id = created.find((one) => question.url!.endsWith(`/${one}`))
  if (!id) return told(404, { error: { code: 'task_not_found', message: 'no such task' } })
  const data = links.has(id) ? [{ url: links.get(id) }] : []
  return told(200, { id, status: 'completed', progress: 100, result: { type: 'video', data } })
})

const stack = new Stack({ ALLOW_PRIVATE_BASE_URLS: 'true' })
beforeAll(async () => {
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  await stack.start()
  await stack.poller({ POLL_INTERVAL_MS: '200' })
})
afterAll(async () => {
  await stack[Symbol.asyncDispose]()
  provider.closeAllConnections()
  provider.close()
})

it('is failed without a link, and a retry takes the link that has come, instead of paying again', async () => {
  const { port } = provider.address() as AddressInfo
  const body = { provider: 'toapis', baseUrl: `http://127.0.0.1:${port}`, apiKey: 'sk-no-link' }
  await stack.ask('PUT', '/api/me/ai-config', { body })
  const { body: video } = await stack.ask('POST', '/api/videos', { body: { prompt: 'a film' } })
  const path = `/api/scene-videos/${String(video['id'])}`
  const ended = (attempt: number) =>
    until(`attempt ${attempt} to end`, async () => {
      const { body: now } = await stack.ask('GET', path)
      const isEnded = ['completed', 'failed'].includes(String(now['status']))
      return isEnded && now['attempt'] === attempt ? now : undefined
    })
  expect(await ended(1)).toMatchObject({ status: 'failed', error: { code: 'no_result' } })
  links.set('task_0', 'https://example.com/film.mp4')
  await stack.ask('POST', `${path}/retry`, { body: {} })
  expect(await ended(2)).toMatchObject({ status: 'completed', taskId: 'task_0' })
  expect(created).toEqual(['task_0'])
})
