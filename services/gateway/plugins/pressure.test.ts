import { expect, it } from 'vitest'
import type { Clock } from '#libs/runtime/clock.ts'
import { Pressure } from './pressure.ts'

it('is too high from when a timer is late until one is in time', () => {
  let now = 1_000
  let fire = () => {}
  let cancelled = 0
  const after = (_ms: number, act: () => void) => ((fire = act), () => void cancelled++)
  const pressure = new Pressure({ now: () => now, after } as unknown as Clock, 100)
  const at = (ms: number, isFired = false) => {
    now = ms
    if (isFired) fire()
    return pressure.isTooHigh()
  }
  expect([at(1_900), at(2_090), at(2_101)]).toEqual([false, false, true])
  expect([at(2_200, true), at(2_900)]).toEqual([true, true])
  expect([at(3_210, true), at(3_900)]).toEqual([false, false])
  pressure[Symbol.dispose]()
  expect(cancelled).toBe(1)
})
