import fc from 'fast-check'
import { expect, it } from 'vitest'
import { planRebalance, preferredOwner } from './rebalance.ts'

const peer = (session: string, owned: number, draining = false) => ({
  session,
  owned,
  draining,
  acceptsClaims: !draining,
})

it('gives a joining poller its share, from each of the others', () => {
  expect(planRebalance(333, [peer('a', 333), peer('b', 334), peer('new', 0)])).toEqual([
    { session: 'new', count: 83 },
  ])
  expect(planRebalance(1_000, [peer('new-1', 0), peer('new-2', 0)])).toEqual([
    { session: 'new-1', count: 333 },
    { session: 'new-2', count: 333 },
  ])
})

it('moves nothing for a small difference, without peers, or to one that drains or may not claim yet', () => {
  expect(planRebalance(10, [peer('a', 0)])).toEqual([])
  expect(planRebalance(1_000, [])).toEqual([])
  expect(planRebalance(1_000, [peer('a', 0, true)])).toEqual([])
  expect(planRebalance(1_000, [{ ...peer('a', 0), acceptsClaims: false }])).toEqual([])
})

it('never gives more than its surplus, nor more to a peer than that one lacks', () => {
  fc.assert(
    fc.property(
      fc.nat(100_000),
      fc.array(fc.tuple(fc.nat(100_000), fc.boolean()), { maxLength: 10 }),
      (own, others) => {
        const peers = others.map(([owned, draining], i) => peer(String(i), owned, draining))
        const takers = peers.filter((one) => one.acceptsClaims)
        const fair = Math.ceil(
          (own + takers.reduce((sum, one) => sum + one.owned, 0)) / (takers.length + 1),
        )
        const given = planRebalance(own, peers)
        expect(given.reduce((sum, gift) => sum + gift.count, 0)).toBeLessThanOrEqual(
          Math.max(0, own - fair),
        )
        for (const { session, count } of given)
          expect(count + takers.find((one) => one.session === session)!.owned).toBeLessThanOrEqual(
            fair,
          )
      },
    ),
  )
})

it('names one heir for a video whoever asks, and shares evenly', () => {
  const sessions = ['a', 'b', 'c']
  const counts = new Map<string, number>()
  for (let i = 0; i < 3_000; i++) {
    const id = `01a20dfc-26a3-7015-b732-${String(i).padStart(12, '0')}`
    const heir = preferredOwner(id, sessions)
    expect(preferredOwner(id, sessions.toReversed())).toBe(heir)
    counts.set(heir, (counts.get(heir) ?? 0) + 1)
  }
  for (const count of counts.values()) expect(count).toBeGreaterThan(800)
})
