import { expect, it } from 'vitest'
import type { Clock } from '#libs/runtime/clock.ts'
import { Pressure } from './pressure.ts'

function measured() {
  let now = 1_000
  const looks: (() => void)[] = []
  let cancelled = 0
  const after = (_ms: number, act: () => void) => (looks.push(act), () => void cancelled++)
  const pressure = new Pressure({ now: () => now, after } as unknown as Clock, 100)
  const fire = (ms: number) => {
    now = ms
    looks.shift()?.()
  }
  const at = (ms: number, isFired = false) => {
    if (isFired) fire(ms)
    now = ms
    return pressure.isTooHigh()
  }
  return { pressure, at, fire, looks, cancelled: () => cancelled }
}

it('is too high from when a timer is late until one is in time', () => {
  const { pressure, at, cancelled } = measured()
  expect([at(1_000), at(1_900), at(2_090), at(2_101)]).toEqual([false, false, false, true])
  // from then on it looks after 100 ms
  expect([at(2_200, true), at(2_290)]).toEqual([true, true])
  expect([at(2_310, true), at(3_300)]).toEqual([false, false])
  pressure[Symbol.dispose]()
  expect(cancelled()).toBe(1)
})

it('looks no more when nobody has asked for 10 s, and again once somebody does', () => {
  const { at, fire, looks } = measured()
  expect(looks).toHaveLength(0)
  at(1_000)
  for (let ms = 2_000; ms <= 11_000; ms += 1_000) fire(ms)
  expect(looks).toHaveLength(0)
  expect(at(60_000)).toBe(false)
  expect(looks).toHaveLength(1)
  expect(at(61_200)).toBe(true)
})
