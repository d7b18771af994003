/**
 * The laws in a hundred worlds of 10,000 steps each. A failure names the seed; `npm run simulate --
 * --seed S --trace` shows that run.
 */
import { expect, it } from 'vitest'
import { simulateAll } from './main.ts'
import { simulate, type Outcome } from './simulate.ts'

it('gives the same trace for the same seed, and another for another', async () => {
  const [first, again, other] = [
    await simulate({ seed: 7, steps: 5_000 }),
    await simulate({ seed: 7, steps: 5_000 }),
    await simulate({ seed: 8, steps: 5_000 }),
  ]
  expect(again).toEqual(first)
  expect(other.hash).not.toBe(first.hash)
})

it('breaks no law in 100 worlds', async () => {
  const outcomes: Outcome[] = []
  await simulateAll(
    Array.from({ length: 100 }, (_, i) => i + 1),
    10_000,
    (outcome) => void outcomes.push(outcome),
  )
  expect(
    outcomes.filter((one) => one.broken).map((one) => `seed ${one.seed}: law ${one.broken}`),
  ).toEqual([])
  expect(outcomes).toHaveLength(100)
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((all, one) => all + of(one), 0)
  expect(sum((one) => one.videos)).toBeGreaterThan(500)
  expect(sum((one) => one.stored)).toBeGreaterThan(200)
  expect(sum((one) => one.lost)).toBeGreaterThan(20)
  for (const kind of [
    'kill',
    'pause',
    'strike',
    'isolate',
    'stop',
    'brokerDown',
    'storeDown',
    'rewind',
    'restore',
    'wipe',
    'filesAway',
    'filesFull',
  ])
    expect(outcomes.some((one) => one.faults[kind])).toBe(true)
}, 900_000)
