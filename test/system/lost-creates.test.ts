/** The short form of bench/lost-creates.ts, whose long form docs/providers.md tells of. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  callingProvider,
  LossySystem,
  lossyProviders,
  type Losses,
} from '../support/lost-creates.ts'

const system = await LossySystem.make()
const called = await LossySystem.make({ isCalled: true })
let losses: Losses[]
let ofVertex: Losses
let ofCalling: Losses
async function loseAnswersOnly(): Promise<void> {
  const how = { videos: 20, isAccepting: true } as const
  // what was never accepted is looked for as long as a film may take there
  ofVertex = (await called.lose(['vertex'], { ...how, deaths: 0 }))[0]!
  ofCalling = (await called.lose([callingProvider], { ...how, deaths: 1 }))[0]!
}
beforeAll(async () => {
  // one after another: two systems at once leave other tests too little of the machine
  await system.start()
  losses = await system.lose(lossyProviders, { videos: 20, deaths: 6 })
  await system[Symbol.asyncDispose]()
  await called.start()
  await loseAnswersOnly()
}, 900_000)
afterAll(() => Promise.all([system, called].map((one) => one[Symbol.asyncDispose]())))

it('finds in its bucket at vertex what was accepted without an answer', () => {
  expect(ofVertex).toMatchObject({ guarantee: 'by_match', completed: 20, tasks: 20, mostOfOne: 1 })
  expect(ofVertex.wrong).toEqual([])
  expect(ofVertex.recovered).toBeGreaterThan(3)
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

it('finds by its callback every task of a provider that cannot be asked', () => {
  const { tasks, completed, submissionUnknown } = ofCalling
  expect(ofCalling).toMatchObject({ videos: 20, guarantee: 'none', deaths: 1, wrong: [] })
  expect(ofCalling.mostOfOne).toBe(1)
  expect(ofCalling.recovered).toBeGreaterThan(0)
  // the rest was not sent when submit died
  expect({ completed, submissionUnknown }).toEqual({
    completed: tasks,
    submissionUnknown: 20 - tasks,
  })
})
