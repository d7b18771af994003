import { expect, it } from 'vitest'
import { Process, World } from '../../test/simulation/world.ts'
import { Batcher } from './batcher.ts'

it('hands over what is wanted soon a little after the last batch, with all that waits', async () => {
  const world = new World(1)
  const { clock } = new Process(world, 'one')
  const batches: { at: number; items: string[] }[] = []
  const batcher = new Batcher<string>({
    clock,
    waitMs: 200,
    idleMs: 10,
    soonMs: 20,
    isSoon: (item) => item.startsWith('soon'),
    maxSize: 100,
    handle: (items) => void batches.push({ at: world.now, items }),
  })
  const addAt = (ms: number, item: string) => clock.after(ms, () => batcher.add(item))
  addAt(1_000, 'a')
  addAt(1_015, 'b')
  addAt(1_025, 'soon c')
  addAt(1_026, 'soon d')
  addAt(1_100, 'e')
  while (await world.step());
  expect(batches).toEqual([
    { at: 1_010, items: ['a'] },
    { at: 1_035, items: ['b', 'soon c', 'soon d'] },
    { at: 1_235, items: ['e'] },
  ])
})
