/** Counts are exact whatever happens to videos, before and after they are added up. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { addUpCounts, videoCounts, type CountFilter } from '#libs/store/video-counts.ts'
import { countVideos, statsOf } from '#libs/store/video-stats.ts'
import { v7 } from '#libs/runtime/uuid.ts'
import { Stack } from '../support/gateway-kit.ts'

const stack = new Stack()
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

const dayMs = 86_400_000
const idAt = (ms: number) => {
  const hex = Math.floor(ms).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7${v7().slice(15)}`
}
type Some = { status?: string; errorCode?: string | null; provider?: string; at?: number }

async function userWithProject() {
  const { id: userId } = await stack.keys.createUser('counted')
  const project = await stack.db.project.create({ data: { userId, title: 'x' } })
  const script = await stack.db.script.create({ data: { projectId: project.id, title: 'x' } })
  const scene = await stack.db.scene.create({ data: { scriptId: script.id, prompt: 'x' } })
  const place = { userId, projectId: project.id, scriptId: script.id, sceneId: scene.id }
  const make = async ({ at = Date.now(), ...one }: Some = {}) => {
    const made = { provider: 'toapis', model: 'm', prompt: 'x', ...one, ...place, id: idAt(at) }
    await stack.db.sceneVideo.create({ data: made as never })
    return made.id
  }
  return { ...place, make }
}

/** What the rows say, one by one. */
async function bySight(filter: CountFilter) {
  const rows = await stack.db.sceneVideo.findMany({
    where: { userId: filter.userId!, ...(filter.withErased ? {} : { erasedAt: null }) },
  })
  const at = (id: string) => parseInt(id.replaceAll('-', '').slice(0, 12), 16)
  const fits = rows.filter(
    ({ id }) => at(id) >= (filter.fromMs ?? 0) && at(id) < (filter.toMs ?? Infinity),
  )
  return Object.fromEntries(
    [
      ...Map.groupBy(
        fits,
        ({ provider, status, errorCode }) => `${provider} ${status} ${errorCode}`,
      ),
    ]
      .map(([key, some]) => [key, some.length] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}
async function counted(filter: CountFilter) {
  const rows = await videoCounts(stack.db, filter)
  return Object.fromEntries(
    rows
      .map(
        ({ provider, status, errorCode, count }) =>
          [`${provider} ${status} ${errorCode}`, count] as const,
      )
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  )
}

it('equal what the rows say, through ends, retries and erasure, in any range', async () => {
  const { userId, projectId, make } = await userWithProject()
  const now = Date.now()
  const ids: string[] = []
  for (let i = 0; i < 60; i++)
    ids.push(await make({ at: now - (i * dayMs) / 7, provider: i % 3 ? 'toapis' : 'fal' }))
  const ranges: Partial<CountFilter>[] = [
    {},
    { fromMs: now - 3 * dayMs },
    { fromMs: now - 5 * dayMs, toMs: now - 5 * dayMs + 3_600_000 * 11 },
    { fromMs: now - 6.3 * dayMs, toMs: now - 2.1 * dayMs },
    { toMs: now - 4 * dayMs },
    { withErased: true },
  ]
  const equal = async () => {
    for (const range of ranges) {
      const filter = { userId, ...range }
      expect(await counted(filter), JSON.stringify(range)).toEqual(await bySight(filter))
      expect(await counted({ ...filter, projectId })).toEqual(await bySight(filter))
    }
  }
  await equal()
  const update = (some: string[], data: object) =>
    stack.db.sceneVideo.updateMany({ where: { id: { in: some } }, data })
  await update(ids.slice(0, 30), { status: 'completed' })
  await update(ids.slice(30, 50), { status: 'failed', errorCode: 'timed_out' })
  await equal()
  expect(await addUpCounts(stack.db, 20)).toBe(20)
  await equal()
  await update(ids.slice(30, 40), { status: 'pending', errorCode: null })
  await update(ids.slice(5, 10), { erasedAt: new Date() })
  await equal()
  while (await addUpCounts(stack.db, 1_000));
  await equal()
  await update(ids.slice(30, 35), { status: 'failed', errorCode: 'cancelled' })
  await equal()
  // nothing that is changed otherwise is noted
  await update(ids, { updatedAt: new Date(), version: 9 })
  expect(await stack.db.videoCountChange.count({ where: { userId } })).toBe(5)
})

it('are exact at every moment while videos end and changes are added up', async () => {
  const { userId, make } = await userWithProject()
  const ids: string[] = []
  for (let i = 0; i < 200; i++) ids.push(await make())
  let isOver = false
  const adding = (async () => {
    while (!isOver) await addUpCounts(stack.db, 7)
  })()
  const ending = (async () => {
    for (const id of ids) {
      await stack.db.sceneVideo.update({ where: { id }, data: { status: 'completed' } })
      if (id.endsWith('0'))
        await stack.db.sceneVideo.update({ where: { id }, data: { status: 'generating' } })
    }
    isOver = true
  })()
  while (!isOver) {
    const { isPartial: _, ...counts } = await countVideos(stack.db, { userId })
    expect(Object.values(counts).reduce((a, b) => a + b, 0)).toBe(200)
  }
  await Promise.all([adding, ending])
})

it('belong to whoever the videos belong to', async () => {
  const { projectId, make } = await userWithProject()
  await make({ status: 'completed' })
  await addUpCounts(stack.db, 1_000)
  const key = await stack.stranger()
  const foreign = await stack.ask('GET', `/api/scene-videos/counts?projectId=${projectId}`, { key })
  expect(foreign.body).toMatchObject({ total: 0 })
  expect(await counted({ userId: randomUUID(), projectId })).toEqual({})
})

it('of all users are told by the hour, with times and errors', async () => {
  const { make } = await userWithProject()
  await make({ status: 'failed', errorCode: 'timed_out', provider: 'only-here' })
  const range = { userId: null, fromMs: Date.now() - 90 * 60_000, toMs: Date.now() + 60_000 }
  for (const isAddedUp of [false, true]) {
    if (isAddedUp) while (await addUpCounts(stack.db, 1_000));
    const group = (await statsOf(stack.db, range, 'provider')).find(
      (one) => one.provider === 'only-here',
    )
    expect(group).toMatchObject({ counts: { failed: 1 }, errors: { timed_out: 1 }, model: null })
  }
})

it('are added up by the reconciler', async () => {
  const { userId, make } = await userWithProject()
  await make({ status: 'completed' })
  expect(await stack.db.videoCountChange.count({ where: { userId } })).toBe(1)
  await stack.reconciler()
  await expect
    .poll(() => stack.db.videoCountChange.count({ where: { userId } }), { timeout: 60_000 })
    .toBe(0)
  expect(await counted({ userId })).toEqual({ 'toapis completed null': 1 })
})
