/** Users at one account, whose queries are fewer than its videos are due for. */
import { expect, it } from 'vitest'
import { World } from '../../test/simulation/world.ts'
import { grant, hostIn, id } from '../../test/support/host-kit.ts'

const idOf = (n: number) => id.slice(0, -4) + String(n).padStart(4, '0')

async function run(world: World, untilMs: number): Promise<void> {
  while (world.now < untilMs && (await world.step()));
}

/** When each task was asked about, in a world where `perSecond` queries may be made. */
async function askedFor(videos: Record<string, number>, perSecond: number, untilMs: number) {
  const world = new World(1)
  const { host, queries } = hostIn(
    world,
    () => ({ kind: 'working', phase: 'running', progress: 1 }),
    undefined,
    10,
    perSecond,
  )
  let n = 0
  for (const [userId, count] of Object.entries(videos))
    for (let i = 0; i < count; i++)
      host.adopt({ ...grant, id: idOf(n++), userId, taskId: `${userId}-${i}` })
  const at = new Map<string, number[]>()
  let seen = 0
  while (world.now < untilMs && (await world.step()))
    for (; seen < queries.length; seen++) {
      const [task = ''] = queries[seen]!
      at.set(task, [...(at.get(task) ?? []), world.now])
    }
  return at
}
const longestGap = (times: number[]) => Math.max(...times.slice(1).map((t, i) => t - times[i]!))

it('keeps a user with few videos at the interval, whatever another one has there', async () => {
  const at = await askedFor({ big: 500, small: 5 }, 10, 180_000)
  // the interval with its jitter, a tick, and a turn of each user
  for (let i = 0; i < 5; i++) expect(longestGap(at.get(`small-${i}`)!)).toBeLessThan(7_000)
  // nearly all of the limit is used, and what is left over is the other one's
  const asked = [...at.values()].flat().filter((t) => t > 60_000).length / 120
  expect(asked).toBeGreaterThan(9)
  expect(asked).toBeLessThanOrEqual(10)
  expect([...at.keys()].filter((task) => task.startsWith('big'))).toHaveLength(500)
})

it('gives users that all have more than their share the same, and none a second place', async () => {
  const at = await askedFor({ a: 300, b: 100, c: 60 }, 10, 180_000)
  const of = (user: string) =>
    [...at].flatMap(([task, times]) => (task.startsWith(user) ? times : [])).length
  expect(of('a') / of('c')).toBeLessThan(1.3)
  expect(of('b') / of('c')).toBeLessThan(1.3)
  // of one user, in the order in which they were due
  expect(longestGap(at.get('c-7')!)).toBeLessThan(25_000)
})

it('lets go of what waits for its turn, and asks for it once where a webhook comes meanwhile', async () => {
  const world = new World(1)
  const working = { kind: 'working', phase: 'running', progress: 1 } as const
  const { host, queries } = hostIn(world, () => working, undefined, 10, 1)
  for (let n = 0; n < 40; n++) host.adopt({ ...grant, id: idOf(n), taskId: `t${n}` })
  await run(world, 6_000)
  const given = host.releaseForHandoff(20)
  expect(given).toHaveLength(20)
  for (const { id: kept } of host.videos.values())
    for (let i = 0; i < 3; i++) host.nudge(kept, 'webhook')
  const before = queries.length
  await run(world, 26_000)
  const asked = queries.slice(before).flat()
  const tasks = new Set([...host.videos.values()].map(({ taskId }) => taskId))
  expect(asked.every((task) => tasks.has(task))).toBe(true)
  expect(new Set(asked).size).toBe(asked.length)
})
