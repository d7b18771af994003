import { expect, it } from 'vitest'
import { Prices, priceListSetting } from './prices.ts'

const problemsOf = (text: string) =>
  priceListSetting.safeParse(text).error?.issues.map((one) => one.message) ?? []

it('takes prices by provider and model, and refuses what would let money through unseen', () => {
  const list = priceListSetting.parse(' toapis/sora-2=0.1/second, fal/*=0.5/video ,, ')
  const prices = new Prices(list, 'USD', [])
  const sora = { provider: 'toapis', model: 'sora-2' }
  expect(prices.ofCreate({ ...sora, seconds: 3 })).toBe(300_000)
  expect(prices.ofCreate(sora)).toBe(1_000_000)
  expect(prices.ofCreate({ provider: 'fal', model: 'any' })).toBe(500_000)
  expect(prices.ofCreate({ provider: 'toapis', model: 'any' })).toBeNull()
  for (const text of [
    'toapis/a=-1/second',
    'toapis/a=1e3/second',
    'toapis/a=0,5/second',
    'toapis/a=/second',
    'toapis/a=1/minute',
    'toapis/a=NaN/video',
    'toapis/a=0.0000001/video',
    'toapi/a=1/video',
    '*/a=1/video',
    'toapis/a=1/video, toapis/a=2/video',
  ])
    expect(problemsOf(text), text).not.toEqual([])
})
