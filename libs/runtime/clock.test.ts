import fc from 'fast-check'
import { expect, it } from 'vitest'
import { bootClock, bootMs, unixMs } from './clock.ts'

/** A machine whose three clocks are told what happens to it. */
function machine() {
  const at = { wall: 1_800_000_000_000, monotonic: 5_000, boot: 905_000 }
  let bootReads = 0
  const now = bootClock({
    wall: () => Math.floor(at.wall),
    monotonic: () => at.monotonic,
    boot: () => (bootReads++, Math.floor(at.boot / 10) * 10),
  })
  return {
    now,
    bootReads: () => bootReads,
    runs(ms: number) {
      at.wall += ms
      at.monotonic += ms
      at.boot += ms
    },
    isSuspended(ms: number) {
      at.wall += ms
      at.boot += ms
    },
    isSet: (ms: number) => void (at.wall += ms),
    /** By somebody, during a suspend of that length: nothing of it is seen at the wall. */
    isSetBackAsSuspended: (ms: number) => void (at.boot += ms),
  }
}

it('counts what the machine slept, and follows no setting of the wall clock', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('runs' as const), ms: fc.double({ min: 0, max: 200_000 }) }),
    fc.record({
      kind: fc.constant('isSuspended' as const),
      ms: fc.double({ min: 100, max: 1e7, noNaN: true }),
    }),
    fc.record({
      kind: fc.constant('isSet' as const),
      ms: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const one = machine()
      let expected = one.now()
      for (const { kind, ms } of steps) {
        const length = Number.isNaN(ms) ? 1 : ms
        one[kind](length)
        if (kind !== 'isSet') expected += length
        const before = one.now()
        expect(Math.abs(before - expected)).toBeLessThan(60 + steps.length * 10)
        expect(one.now()).toBeGreaterThanOrEqual(before)
      }
    }),
    { numRuns: 300 },
  )
})

it('sees a suspend of a minute at the very next look', () => {
  const one = machine()
  const before = one.now()
  one.isSuspended(60_000)
  expect(one.now() - before).toBeGreaterThanOrEqual(59_980)
})

it('sees within seconds a suspend during which the wall clock was set back', () => {
  const one = machine()
  const before = one.now()
  one.isSetBackAsSuspended(60_000)
  one.runs(11_000)
  expect(one.now() - before).toBeGreaterThanOrEqual(70_980)
})

it('reads the boot clock seldom', () => {
  const one = machine()
  for (let i = 0; i < 100_000; i++) {
    one.runs(1)
    one.now()
  }
  expect(one.bootReads()).toBeLessThan(15)
})

it('runs as this machine does', async () => {
  const [boot, unix] = [bootMs(), unixMs()]
  await new Promise((done) => setTimeout(done, 300))
  expect(Math.abs(bootMs() - boot - (unixMs() - unix))).toBeLessThan(60)
})
