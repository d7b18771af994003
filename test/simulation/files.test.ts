/**
 * What was paid for is kept, in some worlds of finished videos. A failure names the seed; `npm run
 * simulate -- --files --seed S --trace` shows that run.
 */
import { expect, it } from 'vitest'
import { describesFileStore } from '../conformance/file-store.ts'
import { MemoryFileStore } from './memory-file-store.ts'
import { simulateFiles, type FileOutcome } from './simulate-files.ts'

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

it('gives the same trace for the same seed', async () => {
  expect((await simulateFiles({ seed: 3 })).hash).toBe((await simulateFiles({ seed: 3 })).hash)
})
