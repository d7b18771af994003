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

it('finds in its bucket at vertex what was accepted without an answer', async () => {
  // what was never accepted is looked for as long as a film may take there
  const [told] = await system.lose(['vertex'], { videos: 20, deaths: 0, isAccepting: true })
  expect(told).toMatchObject({ guarantee: 'by_match', completed: 20, tasks: 20, mostOfOne: 1 })
  expect(told!.wrong).toEqual([])
  expect(told!.recovered).toBeGreaterThan(3)
})

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
