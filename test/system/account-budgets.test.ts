/**
 * An account's budget over all processes, judged by the provider that has the limit: never more
 * than it allows, nearly all of it used, and nobody refused.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pause, System, until } from '../support/system.ts'

const system = new System({ POLL_INTERVAL_MS: '1000' })

beforeAll(async () => {
  await system.start(['--pollers', '4'])
  await system.simulate({ minSeconds: 600, maxSeconds: 700, tier: 'off' })
})
afterAll(() => system[Symbol.asyncDispose]())

interface Second {
  second: number
  answered: number
  refused: number
}
const seconds = async () => {
  const response = await fetch(`${system.dev.simulatorUrl}/polls`)
  return ((await response.json()) as { seconds: Second[] }).seconds
}
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)

it('has four pollers use the whole rate of one account, and not more', async () => {
  const ids = await Promise.all(Array.from({ length: 300 }, () => system.submit({ prompt: 'x' })))
  await until('all of them at work', async () => {
    const { body } = await system.api('GET', `/api/projects/${system.dev.projectId}`)
    const { generating } = body['counts'] as { generating: number }
    return generating === ids.length || undefined
  })
  // 3,000 queries a minute, and six times as many are due
  await system.simulate({ tier: 'default' })
  await pause(15_000)
  const from = Math.floor(Date.now() / 1_000)
  await pause(30_000)
  const during = (await seconds()).filter(({ second }) => second > from && second < from + 29)
  expect(sum(during.map((one) => one.refused))).toBe(0)
  const perSecond = sum(during.map((one) => one.answered)) / 28
  expect(perSecond).toBeLessThanOrEqual(50)
  expect(perSecond).toBeGreaterThanOrEqual(45)
})
