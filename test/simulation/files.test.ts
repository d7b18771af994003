/**
 * What was paid for is kept: the store of files in memory, and schedules that once broke that law.
 */
import { describe, expect, it } from 'vitest'
import { describesFileStore } from '../conformance/file-store.ts'
import { Kit } from './kit.ts'
import { badHosts } from './memory-file-answers.ts'
import { MemoryFileStore } from './memory-file-store.ts'
import { restoreFrom } from './trouble.ts'

describesFileStore(() => new MemoryFileStore())

it.each(badHosts)('keeps nobody’s file waiting for a user whose host is bad: %s', async (bad) => {
  const kit = new Kit({ keepsFiles: true })
  kit.provider.lastsMs = 1_000
  await kit.pass(10_000)
  kit.provider.host.bad = bad
  for (let i = 0; i < 100; i++) await kit.submit({}, 1)
  await kit.pass(20_000)
  const others: string[] = []
  for (let i = 0; i < 10; i++) others.push(await kit.submit())
  await kit.until('completed', () => others.every((id) => kit.video(id).status === 'completed'))
  await kit.pass(15_000)
  expect(others.filter((id) => kit.video(id).phase !== 'stored')).toEqual([])
})

describe('a Postgres that was restored', () => {
  /** A file that was kept by its `claim`th claim, and then forgotten, while its link died. */
  async function forgotten(claim: number) {
    const kit = new Kit({ keepsFiles: true })
    kit.provider.lastsMs = 5_000
    await kit.pass(10_000)
    const id = await kit.submit()
    await kit.until('generating', () => kit.video(id).status === 'generating')
    const copy = kit.store.copy()
    await kit.until('queued', () => kit.store.files.rows.has(id))
    kit.store.files.rows.get(id)!.claim = claim - 1
    await kit.until('stored', () => kit.video(id).phase === 'stored')
    const { now, hosted } = kit.provider.host
    for (const one of hosted.values()) one.diesAt = [now()]
    restoreFrom(kit, copy)
    await kit.until('restored', () => kit.video(id).status === 'generating')
    return { kit, id }
  }

  it.each([1, 7])('keeps the file it has forgotten: claim %i', async (claim) => {
    const { kit, id } = await forgotten(claim)
    await kit.until('completed again', () => kit.video(id).status === 'completed')
    await kit.until('decided', () => kit.video(id).file !== null, 600_000)
    expect(kit.video(id)).toMatchObject({ phase: 'stored', file: { state: 'stored' } })
  })
})
