/** Against the provider's own token buckets, in a world whose time is passed in. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Limits } from '#services/provider-simulator/limits.ts'
import { Budget } from './budget.ts'

const rate = { perSecond: 50, burst: 500 } // toapis' default tier

function worldOf(pollers: number) {
  const clock = { now: () => world.now, after: () => () => {}, random: () => 0.5, uuid: () => '' }
  const world = {
    now: 0,
    provider: new Limits(),
    budgets: Array.from({ length: pollers }, () => new Budget(clock, rate, () => pollers)),
  }
  return world
}

/**
 * Videos, spread over pollers, each polled `interval` after its last poll or in the slot it is
 * given; when each was polled, and how often the provider refused.
 */
function run(videos: number, pollers: number, interval: number, untilMs: number) {
  const world = worldOf(pollers)
  const polled = Array.from({ length: videos }, (): number[] => [])
  const waiting = Array.from({ length: videos }, (_, video) => ({
    video,
    at: (interval * video) / videos,
    hasSlot: false,
  }))
  let refused = 0
  for (;;) {
    waiting.sort((a, b) => a.at - b.at)
    const next = waiting[0]!
    if (next.at > untilMs) return { polled, refused }
    world.now = next.at
    const budget = world.budgets[next.video % pollers]!
    const wait = next.hasSlot && !budget.isPaused('a') ? 0 : budget.take('a')
    next.hasSlot = wait > 0
    next.at = world.now + (wait || interval)
    if (wait > 0) continue
    const { waitSeconds } = world.provider.take('a', 'query', 'default', world.now)
    if (waitSeconds > 0) refused++
    else polled[next.video]!.push(world.now)
  }
}

const gaps = (times: number[]) => times.slice(1).map((at, i) => at - times[i]!)

it('keeps to the interval where the budget allows it', () => {
  const { polled, refused } = run(200, 2, 5_000, 60_000)
  expect(refused).toBe(0)
  for (const times of polled)
    for (const gap of gaps(times.filter((at) => at > 10_000))) expect(gap).toBeLessThan(5_100)
})

it('stretches the interval of all videos alike where it does not, and never asks beyond the provider’s buckets', () => {
  const { polled, refused } = run(1_000, 4, 5_000, 120_000)
  expect(refused).toBe(0)
  for (const times of polled) {
    expect(times.length).toBeGreaterThanOrEqual(4)
    for (const gap of gaps(times.filter((at) => at > 25_000))) expect(gap).toBeGreaterThan(18_000)
    for (const gap of gaps(times.filter((at) => at > 25_000))) expect(gap).toBeLessThan(22_000)
  }
})

it('brings no burst after a restart, whatever the one before had used up', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 2_000 }),
      (pollers, videos) => {
        const world = worldOf(pollers)
        for (let i = 0; i < rate.burst; i++) world.provider.take('a', 'query', 'default', 0)
        world.now = 1_000
        const slots = Array.from(
          { length: videos },
          (_, i) => 1_000 + world.budgets[i % pollers]!.take('a'),
        ).toSorted((a, b) => a - b)
        for (const at of slots)
          expect(world.provider.take('a', 'query', 'default', at).waitSeconds).toBe(0)
      },
    ),
    { numRuns: 50 },
  )
})

it('keeps accounts apart, and makes one that was asked to wait wait whole', () => {
  const {
    budgets: [budget],
  } = worldOf(1)
  expect(budget!.take('a')).toBe(0)
  budget!.pause('a', 7_000)
  expect(budget!.isPaused('a')).toBe(true)
  expect(budget!.isPaused('b')).toBe(false)
  expect(budget!.take('b')).toBe(0)
  const waits = Array.from({ length: 100 }, () => budget!.take('a'))
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(7_000)
  expect(waits.at(-1)! - waits[0]!).toBeCloseTo(99 * 20, 5)
})

it('believes the provider when less remains than it thought', () => {
  const world = worldOf(1)
  const [budget] = world.budgets
  budget!.take('a')
  world.now = 60_000
  budget!.learn('a', { remaining: 3, resetMs: 0 })
  const waits = Array.from({ length: 5 }, () => budget!.take('a'))
  expect(waits.filter((wait) => wait === 0)).toHaveLength(3)
})
