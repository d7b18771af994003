import { expect, it } from 'vitest'
import type { TaskAnswer } from '#libs/provider/provider.ts'
import { encrypt } from '#libs/runtime/secrets.ts'
import { World } from '../../test/simulation/world.ts'
import { grant, hostIn, id, key } from '../../test/support/host-kit.ts'

async function run(world: World, untilMs: number): Promise<void> {
  while (world.now < untilMs && (await world.step()));
}

it('resolves no machine and reports nothing for an answer that says what the last one said, but for a sign of life', async () => {
  const world = new World(1)
  const { host, reports, polls } = hostIn(world, () => ({
    kind: 'working',
    phase: 'running',
    progress: 40,
  }))
  host.adopt(grant)
  await run(world, 2_000)
  expect(reports).toMatchObject([
    { no: 1, change: { status: 'generating', phase: 'running', progress: 40 } },
  ])
  const { state } = host.videos.get(id)!
  await run(world, 40_000)
  expect(polls()).toBeGreaterThan(6)
  expect(host.videos.get(id)!.state).toBe(state)
  expect(reports).toHaveLength(1)
  await run(world, 60_000)
  expect(reports).toHaveLength(2)
  expect(reports[1]).toMatchObject({ no: 2, change: null })
})

it('shows a video whose stored key it cannot read as retrying, asks nobody, and ends it at its deadline', async () => {
  const world = new World(1)
  const { host, reports, polls } = hostIn(world, () => ({
    kind: 'working',
    phase: 'running',
    progress: 1,
  }))
  host.adopt({
    ...grant,
    status: 'generating',
    phase: 'running',
    keyCipher: encrypt('sk-x', [Buffer.alloc(32, 2)]),
    untilDeadlineMs: 60_000,
  })
  await run(world, 61_000)
  expect(polls()).toBe(0)
  const said = reports.flatMap(({ change }) => (change ? [[change.status, change.phase]] : []))
  expect(said).toEqual([
    ['generating', 'retrying'],
    ['failed', 'done'],
  ])
})

it('polls on what is done without a result, and ends it when that is said again and again', async () => {
  const world = new World(1)
  const { host, reports, polls } = hostIn(world, () => ({
    kind: 'unusable',
    error: { code: 'no_result', message: 'no file' },
    body: '{}',
  }))
  host.adopt(grant)
  await run(world, 2_000)
  expect(reports).toEqual([])
  await run(world, 60_000)
  expect(reports.map(({ change }) => change?.error?.code ?? change?.phase)).toEqual([
    'running',
    'no_result',
  ])
  expect(polls()).toBe(3)
})

it('reports a first poll that says failed as generating, then failed', async () => {
  const world = new World(1)
  const { host, reports } = hostIn(world, () => ({
    kind: 'failed',
    error: { code: 'provider_failed', message: 'no' },
  }))
  host.adopt(grant)
  await run(world, 2_000)
  expect(reports).toMatchObject([
    { no: 1, change: { status: 'generating' } },
    { no: 2, change: { status: 'failed', error: { code: 'provider_failed' } } },
  ])
  expect(host.videos.size).toBe(0)
})

it('polls on while reports are being stored, and stops when more than allowed are not', async () => {
  const world = new World(1)
  const stuck: (() => void)[] = []
  const { host, reports, polls } = hostIn(
    world,
    () => ({ kind: 'working', phase: 'running', progress: 1 }),
    () => new Promise((resolve) => stuck.push(() => resolve(1))),
    3,
  )
  for (let n = 0; n < 150; n++)
    host.adopt({ ...grant, id: id.slice(0, -3) + String(n).padStart(3, '0') })
  await run(world, 30_000)
  expect([polls(), reports.length]).toEqual([78, 78])
  for (let n = 0; n < 100; n++) {
    for (const release of stuck.splice(0)) release()
    await new Promise((resolve) => setImmediate(resolve)) // what follows from it without waiting
    await run(world, world.now + 100)
  }
  expect(reports.length).toBeGreaterThanOrEqual(150)
})

it('ends a video whose deadline passes before its slot, and has nobody else wait for that', async () => {
  const world = new World(1)
  const { host, reports, polls } = hostIn(
    world,
    () => ({ kind: 'working', phase: 'running', progress: 1 }),
    undefined,
    10,
    1,
  )
  for (let n = 0; n < 50; n++)
    host.adopt({ ...grant, id: id.slice(0, -2) + String(n).padStart(2, '0') })
  host.adopt({ ...grant, id: `${id.slice(0, -2)}99`, untilDeadlineMs: 10_000 })
  await run(world, 30_000)
  expect(
    reports.find((report) => report.id.endsWith('99') && report.change?.status === 'failed')?.change
      ?.error?.code,
  ).toBe('timed_out')
  expect(polls()).toBeGreaterThan(27)
})

it('keeps one account for a key however often it was encrypted, and none for two keys', () => {
  const { host } = hostIn(new World(1), () => ({ kind: 'missing' }))
  const of = (n: number, apiKey: string) => {
    const one = `${id.slice(0, -2)}${n}0`
    host.adopt({ ...grant, id: one, keyCipher: encrypt(apiKey, key) })
    return host.videos.get(one)!.account
  }
  expect(of(1, 'sk-a')).toBe(of(2, 'sk-a'))
  expect(of(3, 'sk-b').id).not.toBe(of(4, 'sk-a').id)
  expect(of(5, 'sk-secret').id).not.toContain('secret')
})

it('asks for many tasks by one query where the provider can, within its budget of queries', async () => {
  const world = new World(1)
  const { host, reports, queries } = hostIn(
    world,
    () => ({ kind: 'working', phase: 'running', progress: 1 }),
    undefined,
    10,
    1,
    100,
  )
  for (let n = 100; n < 350; n++) host.adopt({ ...grant, taskId: `t${n}`, id: id.slice(0, -3) + n })
  host.adopt({
    ...grant,
    taskId: 'of another',
    id: `${id.slice(0, -3)}999`,
    keyCipher: encrypt('sk-y', key),
  })
  await run(world, 40_000)
  expect(new Set(queries.flat()).size).toBe(251)
  expect(new Set(reports.map((report) => report.id)).size).toBe(251)
  for (const tasks of queries) expect(new Set(tasks).size).toBe(tasks.length)
  expect(Math.max(...queries.map((tasks) => tasks.length))).toBeLessThanOrEqual(100)
  for (const tasks of queries.filter((one) => one.includes('of another')))
    expect(tasks).toEqual(['of another'])
  expect(queries.filter((tasks) => !tasks.includes('of another')).length).toBeLessThanOrEqual(42)
})

it('cancels, ends by the deadline and says it is in hand while a query is never answered', async () => {
  const world = new World(1)
  const { host, reports } = hostIn(world, () => new Promise<TaskAnswer>(() => {}))
  host.adopt({ ...grant, status: 'generating', phase: 'running', untilDeadlineMs: 60_000 })
  const other = `${id.slice(0, -2)}02`
  host.adopt({ ...grant, id: other, status: 'generating', phase: 'running' })
  await run(world, 59_000)
  expect(reports.map(({ id: of, change }) => [of, change])).toEqual([
    [id, null],
    [other, null],
  ])
  host.nudge(other, 'cancel')
  await run(world, 62_000)
  const said = reports.filter(({ change }) => change).toSorted((a, b) => b.id.localeCompare(a.id))
  expect(said.map(({ id: of, change }) => [of, change!.phase, change!.error?.code])).toEqual([
    [other, 'cancelling', undefined],
    [other, 'done', 'cancelled'],
    [id, 'done', 'timed_out'],
  ])
  expect(host.videos.size).toBe(0)
})

it('does not end a video that the provider works on, however long ago it was submitted', async () => {
  const world = new World(1)
  const { host, reports } = hostIn(world, () => ({
    kind: 'working',
    phase: 'running',
    progress: 97,
  }))
  host.adopt({ ...grant, sinceSubmittedMs: 86_400_000 - 30_000 })
  await run(world, 120_000)
  expect(reports.filter(({ change }) => change?.status === 'failed')).toEqual([])
  expect(reports[0]).toMatchObject({ change: { status: 'generating', phase: 'overdue' } })
})

it('goes on counting from the last sign of life of the owner before', async () => {
  const world = new World(1)
  const { host, reports } = hostIn(world, () => new Promise<TaskAnswer>(() => {}))
  host.adopt({ ...grant, status: 'generating', phase: 'running', sinceSignOfLifeMs: 40_000 })
  await run(world, 6_000)
  expect(reports).toMatchObject([{ no: 1, change: null }])
})

it('forgets a video without a word when its record was taken, not when an earlier one was', async () => {
  const world = new World(1)
  const { host, reports } = hostIn(world, () => ({ kind: 'missing' }))
  host.adopt({ ...grant, status: 'generating', phase: 'retrying' })
  host.revoke(id, '6')
  expect(host.videos.size).toBe(1)
  host.revoke(id, '7')
  expect(host.videos.size).toBe(0)
  await run(world, 60_000)
  expect(reports).toEqual([])
})
