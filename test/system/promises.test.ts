/** What was promised to a person is kept within seconds, also when the message about it is lost. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'

const system = new System({ POLL_INTERVAL_MS: '1000' })
beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 150, maxSeconds: 160, tier: 'off' })
})
afterAll(() => system[Symbol.asyncDispose]())

it('cancels a video whose owner was away when it was told', async () => {
  const id = await system.submit({ prompt: 'x' })
  await until(
    'it to be polled',
    async () => (await system.video(id)).status === 'generating' || undefined,
  )
  const pollers = system.dev.processes.filter(({ name }) => name.startsWith('poller'))
  for (const { pid } of pollers) process.kill(pid, 'SIGSTOP')
  try {
    const cancel = async () =>
      (await system.api('POST', `/api/scene-videos/${id}/cancel`, {})).status === 202 || undefined
    // nobody stands for the pollers at the server that the cancel is told to
    await system.kill9('nats')
    await until('the cancel to be accepted', cancel)
  } finally {
    for (const { pid } of pollers) process.kill(pid, 'SIGCONT')
  }
  const ended = await until(
    'the cancel to be carried out',
    async () => {
      const video = await system.video(id)
      return video.status === 'failed' ? video : undefined
    },
    60_000,
  )
  expect(ended.error?.code).toBe('cancelled')
})
