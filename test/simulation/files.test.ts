/**
 * What was paid for is kept, in some worlds of finished videos. A failure names the seed; `npm run
 * simulate -- --files --seed S --trace` shows that run.
 */
import { expect, it } from 'vitest'
import { describesFileStore } from '../conformance/file-store.ts'
import { FileSimulation } from './file-simulation.ts'
import { badHosts } from './memory-file-host.ts'
import { MemoryFileStore } from './memory-file-store.ts'
import { simulateFiles, type FileOutcome } from './simulate-files.ts'
import { badUserId, userIds } from './tenants.ts'

describesFileStore(() => new MemoryFileStore())

it('keeps every file that can be had, in 12 worlds', async () => {
  const outcomes: FileOutcome[] = []
  for (let seed = 1; seed <= 12; seed++) outcomes.push(await simulateFiles({ seed }))
  expect(
    outcomes.filter((one) => one.broken).map((one) => `seed ${one.seed}: law ${one.broken}`),
  ).toEqual([])
  const sum = (of: (one: FileOutcome) => number) => outcomes.reduce((all, one) => all + of(one), 0)
  expect(sum((one) => one.stored)).toBeGreaterThan(100)
  expect(sum((one) => one.lost)).toBeGreaterThan(10)
  for (const kind of ['kill', 'pause', 'strike', 'isolate', 'stop', 'brokerDown', 'storeDown'])
    expect(sum((one) => one.faults[kind] ?? 0)).toBeGreaterThan(0)
  for (const kind of ['filesAway', 'filesFull'])
    expect(sum((one) => one.faults[kind] ?? 0)).toBeGreaterThan(0)
}, 300_000)

it.each([104, 178])('removes no file that was recorded after all, in world %i', async (seed) => {
  expect((await simulateFiles({ seed })).broken).toBeUndefined()
})

it('gives the same trace for the same seed', async () => {
  expect((await simulateFiles({ seed: 3 })).hash).toBe((await simulateFiles({ seed: 3 })).hash)
})

it.each(badHosts)('keeps nobody’s file waiting for a user whose host is bad: %s', async (bad) => {
  const simulation = new FileSimulation(1, false)
  simulation.beFair(bad)
  const { world, store, host, laws } = simulation
  for (let i = 0; i < 100; i++) simulation.complete(badUserId)
  const pass = async (ms: number) => {
    for (const until = world.now + ms; world.now < until;) await world.step()
  }
  await pass(20_000)
  const others = Array.from({ length: 10 }, () => simulation.complete(userIds[0]))
  await pass(15_000)
  const waiting = others.filter((id) => {
    return host.hosted.get(id)!.kind === 'video' && store.videos.get(id)!.phase !== 'stored'
  })
  expect(waiting).toEqual([])
  expect(laws.broken).toBeUndefined()
})
