import { expect, it } from 'vitest'
import { Process, World } from '../../test/simulation/world.ts'
import { FairSlots, type Slot } from './fair-slots.ts'

const slotsIn = (world: World, total: number, share: number) =>
  new FairSlots({ clock: new Process(world, 'p').clock, total, share, patienceMs: 1_000 })
const run = async (world: World, untilMs: number) => {
  while (world.now < untilMs && (await world.step()));
}

it('lets one key whose runs do not end keep no other from its turn', async () => {
  const slots = slotsIn(new World(1), 4, 2)
  const ran: string[] = []
  for (let i = 0; i < 10; i++) void slots.run('dripping', () => new Promise(() => {}))
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      slots.run(`other-${i % 3}`, async () => void ran.push('x')),
    ),
  )
  expect(ran).toHaveLength(20)
})

it('lets no number of such keys hold up another one for longer than its patience', async () => {
  const world = new World(1)
  const slots = slotsIn(world, 4, 2)
  let hung = 0
  for (let key = 0; key < 20; key++)
    for (let i = 0; i < 5; i++) slots.enter(`dripping-${key}`, () => void hung++)
  let ranAt = Infinity
  slots.enter('other', () => (ranAt = world.now))
  await run(world, 15_000)
  // behind the 20 that came first, by turns, 4 a second
  expect(ranAt).toBeLessThanOrEqual(6_000)
  expect(hung).toBe(40)
  let later = Infinity
  slots.enter('other', () => (later = world.now))
  await run(world, 17_000)
  expect(later).toBeLessThanOrEqual(16_000)
})

it('counts a slot against its key until it is given back, and hands it to who waits', async () => {
  const slots = slotsIn(new World(1), 1, 1)
  const begun: string[] = []
  let held: Slot | undefined
  const enter = (key: string, name: string, isHeld = false) =>
    slots.enter(key, (slot) => {
      begun.push(name)
      if (isHeld) held = slot
      else slots.leave(slot)
    })
  enter('a', 'a1', true)
  for (let n = 0; n < 10_000; n++) enter('a', 'a2')
  enter('b', 'b1')
  expect(begun).toEqual(['a1'])
  slots.leave(held!)
  expect(begun).toHaveLength(10_002)
  expect(begun.slice(0, 3)).toEqual(['a1', 'a2', 'b1'])
})

it('gives the users of one key turns, whatever one of them has waiting there', async () => {
  const slots = slotsIn(new World(1), 2, 1)
  const begun: string[] = []
  const of = (userId: string) => slots.run('account', async () => void begun.push(userId), userId)
  const runs = Array.from({ length: 500 }, () => of('many'))
  runs.push(of('few'), of('few'))
  await Promise.all(runs)
  expect(begun.slice(0, 5)).toEqual(['many', 'many', 'few', 'many', 'few'])
})

it('gives users turns, whatever number of keys one of them has', async () => {
  const world = new World(1)
  const slots = slotsIn(world, 4, 2)
  for (let key = 0; key < 500; key++) slots.enter(`silent-${key}`, () => {}, 'many')
  let ranAt = Infinity
  slots.enter('other', () => (ranAt = world.now), 'few')
  await run(world, 5_000)
  expect(ranAt).toBeLessThanOrEqual(2_000)
})

it('refuses who still waits when it is closed', async () => {
  const slots = slotsIn(new World(1), 1, 1)
  void slots.run('a', () => new Promise(() => {}))
  const waiting = slots.run('a', async () => {})
  slots.close()
  await expect(waiting).rejects.toThrow('stopping')
})
