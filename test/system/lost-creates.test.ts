/** The short form of bench/lost-creates.ts, whose long form docs/providers.md tells of. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LossySystem, lossyProviders } from '../support/lost-creates.ts'

const system = new LossySystem()
beforeAll(() => system.start(), 180_000)
afterAll(() => system[Symbol.asyncDispose]())

it.each(lossyProviders)(
  '%s makes one task for an attempt, however its answers get lost',
  { timeout: 300_000 },
  async (provider) => {
    const told = await system.lose(provider, 20)
    expect(told).toMatchObject({ videos: 20, mostOfOne: 1, wrong: [] })
    expect(told.completed + told.submissionUnknown).toBe(20)
    expect(told.completed).toBeGreaterThan(0)
  },
)
