/** The short form of bench/lost-creates.ts, whose long form docs/providers.md tells of. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LossySystem, lossyProviders, type Losses } from '../support/lost-creates.ts'

const system = new LossySystem()
let losses: Losses[] = []
beforeAll(async () => {
  await system.start()
  losses = await system.lose(lossyProviders, { videos: 20, deaths: 6 })
}, 600_000)
afterAll(() => system[Symbol.asyncDispose]())

it.each(lossyProviders)(
  '%s makes one task for an attempt, however its answers get lost',
  (provider) => {
    const told = losses.find((one) => one.provider === provider)!
    expect(told).toMatchObject({ videos: 20, mostOfOne: 1, wrong: [] })
    expect(told.completed + told.submissionUnknown).toBe(20)
    // where nobody can be asked, all may be lost with a submit that dies
    if (told.guarantee !== 'none') expect(told.completed).toBeGreaterThan(0)
    expect(told.deaths).toBeGreaterThan(1)
  },
)
