import { expect, it, vi } from 'vitest'
import { pendingKit } from '../../test/support/pending-kit.ts'
import { Process, World } from '../../test/simulation/world.ts'
import type { SubmitContext } from './context.ts'
import { PendingVideos } from './pending-videos.ts'

it('ends a pending video whose cancel was asked for, or whose time is over, while its create is open', async () => {
  const world = new World(1)
  const { context, create } = pendingKit()
  create.mockImplementation(() => new Promise(() => {}))
  const due = {
    attempt: 1,
    status: 'pending' as const,
    phase: 'queued',
    taskId: null,
    cancelRequested: false,
    untilDeadlineMs: null,
    requestedMs: 0,
  }
  const found = [
    { ...due, id: 'cancelled', cancelRequested: true, waitReason: null },
    { ...due, id: 'late', untilDeadlineMs: -1, waitReason: 'the provider’s rate limit' },
    { ...due, id: 'old', requestedMs: 24 * 3_600_000, waitReason: 'ENOTFOUND' },
  ]
  const failPending = vi.fn<SubmitContext['store']['failPending']>(async () => null)
  Object.assign(context.store, { takeDue: async () => found.splice(0), failPending })
  Object.assign(context, { clock: new Process(world, 'submit').clock, creates: { inc: () => {} } })
  const pending = new PendingVideos(context)
  for (const id of ['cancelled', 'late', 'old']) pending.take(id)
  while (failPending.mock.calls.length < 3 && world.now < 10_000 && (await world.step()));
  expect(create).toHaveBeenCalled()
  expect(failPending.mock.calls.map(([id, , error]) => [id, error.code])).toEqual([
    ['cancelled', 'cancelled'],
    ['late', 'timed_out'],
    ['old', 'timed_out'],
  ])
  expect(JSON.stringify(failPending.mock.calls)).toContain('It waited: ENOTFOUND.')
})
