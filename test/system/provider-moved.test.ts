/**
 * The operator moved to another address: what is under way at former ones is polled on there, as
 * long as they are named as trusted, and with the key it was made with.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startFront } from '../support/front.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

const videoOf = async (id: string) => (await stack.ask('GET', `/api/scene-videos/${id}`)).body

async function submitted(): Promise<string> {
  const { body } = await stack.ask('POST', '/api/videos', { body: { prompt: 'under way' } })
  const id = String(body['id'])
  await until('the provider to have it', async () => (await videoOf(id))['taskId'] ?? undefined)
  return id
}

it('what is under way at two former addresses is polled on there', async () => {
  await stack.simulate({ minSeconds: 1, maxSeconds: 1 })
  const former = `${stack.simulatorUrl}/v1`
  await using front = await startFront(() => stack.simulatorUrl)
  const older = `${front.url}/v1`
  const first = await submitted()
  const second = await submitted()
  await stack.db.submission.updateMany({ where: { videoId: first }, data: { baseUrl: older } })
  // nobody is there any more who could be asked by the new address
  const moved = { TOAPIS_BASE_URL: 'https://203.0.113.1/v1', TOAPIS_API_KEY: 'sk-another-account' }
  await stack.poller({ ...moved, TRUSTED_BASE_URLS: `${former}, ${older}` })
  for (const id of [first, second])
    await until('it to be completed', async () =>
      (await videoOf(id))['status'] === 'completed' ? true : undefined,
    )
  const { taskId } = await videoOf(first)
  expect(front.seen.map((one) => one.line)).toContain(
    `GET /v1/videos/generations/${String(taskId)}`,
  )
})
