/** Against the provider's own token buckets, in a world whose time is passed in. */
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Limits } from '#services/provider-simulator/limits.ts'
import type { Budget as LimitsOf, RateLimit } from '#libs/provider/provider.ts'
import { Budget, type BudgetAccount, type FallbackBudget, type Slot } from './query-budget.ts'

const a = { id: 'a', provider: null }
const b = { id: 'b', provider: null }
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
    slot: null as Slot | null,
  }))
  let refused = 0
  for (;;) {
    waiting.sort((a, b) => a.at - b.at)
    const next = waiting[0]!
    if (next.at > untilMs) return { polled, refused }
    world.now = next.at
    const budget = world.budgets[next.video % pollers]!
    next.slot = budget.reserve(a, [next.slot])
    const wait = next.slot.at - world.now
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
          (_, i) => 1_000 + world.budgets[i % pollers]!.take(a),
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
  expect(budget!.take(a)).toBe(0)
  budget!.pause(a, 7_000)
  expect(budget!.take(b)).toBe(0)
  const waits = Array.from({ length: 100 }, () => budget!.take(a))
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(7_000)
  expect(waits.at(-1)! - waits[0]!).toBeGreaterThan(99 * 20)
})

it('gives nobody a slot of before the account was paused', () => {
  const world = worldOf(1)
  const [budget] = world.budgets
  budget!.pause(a, 1_000)
  const held = budget!.reserve(a, [null])
  expect(held).toMatchObject({ at: 1_000, used: false })
  budget!.pause(a, 7_000)
  world.now = 1_000
  expect(budget!.reserve(a, [held]).at).toBeGreaterThanOrEqual(7_000)
})

it('believes the provider when less remains than it thought', () => {
  const world = worldOf(1)
  const [budget] = world.budgets
  budget!.take(a)
  world.now = 60_000
  budget!.learn(a, { remaining: 3, resetMs: 0, perSecond: null })
  const waits = Array.from({ length: 5 }, () => budget!.take(a))
  expect(waits.filter((wait) => wait === 0)).toHaveLength(3)
})

/** What four pollers asked in each second, with more to ask than they may. */
function underLoad(
  limit: (now: number) => { isRefused: boolean; rateLimit: RateLimit | null },
  account: BudgetAccount,
  fallback: FallbackBudget,
  seconds: number,
) {
  const clock = { now: () => now, after: () => () => {}, random: () => 0.5, uuid: () => '' }
  let now = 0
  const pollers = Array.from({ length: 4 }, () => new Budget(clock, fallback, () => 4))
  const turns = pollers.flatMap((budget) =>
    Array.from({ length: 50 }, () => ({ budget, at: 0, slot: null as Slot | null })),
  )
  const asked = Array.from({ length: seconds }, () => 0)
  const refused = Array.from({ length: seconds }, () => 0)
  for (;;) {
    const turn = turns.reduce((one, other) => (other.at < one.at ? other : one))
    now = Math.max(now, turn.at)
    if (now >= seconds * 1_000) return { asked, refused }
    turn.slot = turn.budget.reserve(account, [turn.slot])
    turn.at = turn.slot.at
    if (turn.at > now) continue
    asked[Math.floor(now / 1_000)]!++
    const { isRefused, rateLimit } = limit(now)
    if (rateLimit) turn.budget.learn(account, rateLimit)
    if (!isRefused) continue
    refused[Math.floor(now / 1_000)]!++
    turn.budget.pause(account, 1_000)
  }
}
const sum = (numbers: number[]) => numbers.reduce((one, other) => one + other, 0)
/** So many in any second, and not one more. */
const perSecondOf = (most: number) => {
  const recent: number[] = []
  return (now: number) => {
    while (recent.length > 0 && recent[0]! <= now - 1_000) recent.shift()
    const isRefused = recent.length >= most
    if (!isRefused) recent.push(now)
    return { isRefused, rateLimit: null }
  }
}
const providerWith = (usual: LimitsOf, set: LimitsOf = {}) => ({
  id: 'a',
  provider: { budgets: { usual, set } },
})

it.each([
  ['declared', providerWith({ queryPerSecond: 50 }), {}],
  ['set by the operator', providerWith({ queryPerSecond: 80 }, { queryPerSecond: 50 }), {}],
  ['set for all', providerWith({}), { perSecond: 50, burst: 1 }],
])(
  'uses nine tenths of a limit that is %s, and never more than all of it',
  (_, account, fallback) => {
    const { asked, refused } = underLoad(perSecondOf(50), account, fallback, 60)
    expect(sum(refused)).toBe(0)
    expect(Math.max(...asked)).toBeLessThanOrEqual(50)
    expect(sum(asked.slice(5)) / 55).toBeGreaterThanOrEqual(45)
  },
)

it('takes the limit that answers tell for what there is, but for what the operator has set', () => {
  const telling = (perSecond: number) => () => ({
    isRefused: false,
    rateLimit: { remaining: 1_000, resetMs: 0, perSecond },
  })
  const usual = { queryPerSecond: 50 }
  const rate = (account: BudgetAccount) =>
    sum(underLoad(telling(200), account, {}, 20).asked.slice(10)) / 10
  expect(rate(providerWith(usual))).toBeGreaterThan(180)
  expect(rate(providerWith(usual, { queryPerSecond: 20 }))).toBeLessThanOrEqual(20)
})

it('asks less of an account that refuses, and more again once it does not', () => {
  const isStrict = (now: number) => now < 60_000
  const strict = perSecondOf(20)
  const limit = (now: number) =>
    isStrict(now) ? strict(now) : { isRefused: false, rateLimit: null }
  const { asked, refused } = underLoad(limit, providerWith({ queryPerSecond: 50 }), {}, 120)
  // most of what it may, and few refusals
  expect(sum(asked.slice(20, 60))).toBeGreaterThan(40 * 20 * 0.5)
  expect(sum(refused.slice(20, 60))).toBeLessThan(sum(asked.slice(20, 60)) * 0.05)
  expect(sum(asked.slice(100)) / 20).toBeGreaterThanOrEqual(45)
})

it('waits for the window of an account that has nothing left, where nobody knows its length', () => {
  let left = 20
  const limit = (now: number) => {
    if (now >= 30_000) left = 20
    const isRefused = left <= 0
    left = Math.max(0, left - 1)
    const rateLimit = { remaining: left, resetMs: Math.max(0, 30_000 - now), perSecond: null }
    return { isRefused, rateLimit }
  }
  const { asked, refused } = underLoad(limit, providerWith({ queryPerSecond: 50 }), {}, 30)
  expect(sum(asked)).toBeLessThanOrEqual(24)
  expect(sum(refused)).toBeLessThanOrEqual(4)
})

/** What one of two pollers asks in a minute, while look-ups ask so much a second beside them. */
function polledBeside(lookUps: number): number {
  const world = worldOf(2)
  const budget = world.budgets[0]!
  let slot: Slot | null = null
  let polls = 0
  for (let told = 0; world.now < 60_000; world.now += 10) {
    for (; told <= world.now; told += 250) budget.spent('a', lookUps / 4)
    do slot = budget.reserve(a, [slot])
    while (slot.used && ++polls)
  }
  return polls
}

it.each([
  [0, 47.5],
  [10, 37.5],
  // of which nobody could know beforehand
  [500, 23.75],
])('asks less where look-ups ask %i a second, but half at least', (lookUps, left) => {
  const polls = polledBeside(lookUps)
  expect(polls).toBeGreaterThan(0.93 * (left / 2) * 60)
  expect(polls).toBeLessThan(1.03 * (left / 2) * 60)
})
