import fc from 'fast-check'
import { expect, it } from 'vitest'
import { World, Process } from '../../test/simulation/world.ts'
import { TimerQueue } from './timer-queue.ts'

async function run(world: World, untilMs: number): Promise<void> {
  while (world.now < untilMs && (await world.step()));
}

it('calls everything in order of its instant, and never early', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 50 }),
      async (instants) => {
        const world = new World(1)
        const { clock } = new Process(world, 'p')
        const called: number[] = []
        const queue = new TimerQueue<number>(clock, (at) => {
          expect(world.now).toBeGreaterThanOrEqual(at)
          called.push(at)
        })
        for (const at of instants) queue.add(at, at)
        await run(world, 2_000)
        expect(called).toEqual(instants.toSorted((a, b) => a - b))
      },
    ),
    { numRuns: 50 },
  )
})

it('goes on with what is due later, when all room was taken and is given back before then', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'p')
  let inHand = 0
  const called: number[] = []
  const queue: TimerQueue<number> = new TimerQueue<number>(
    clock,
    (at) => {
      called.push(at)
      inHand++
      clock.after(5, () => {
        inHand--
        queue.wake()
      })
    },
    () => inHand < 2,
  )
  for (const at of [10, 10, 100, 100, 100]) queue.add(at, at)
  await run(world, 1_000)
  expect(called).toEqual([10, 10, 100, 100, 100])
})
