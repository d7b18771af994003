import { expect, it } from 'vitest'
import { createLogger } from '#libs/runtime/logger.ts'
import type { BulkActions, BulkJob } from '#libs/store/bulk-actions.ts'
import { BulkRunner, type CarryOut } from './bulk.ts'

const job = (userId: string, i: number): BulkJob => ({
  bulkId: `bulk of ${userId}`,
  videoId: `${userId}${i}`,
  attempt: 1,
  userId,
  action: 'cancel',
  by: null as never,
})

it('carries on one user’s bulk actions while submit is silent about another one’s', async () => {
  const todo = new Map([['a', Array.from({ length: 1_000 }, (_, i) => job('a', i))]])
  const finished: string[] = []
  const actions: Pick<BulkActions, 'working' | 'take' | 'finish'> = {
    working: async () => [...todo.keys()],
    take: async (userId, most) => todo.get(userId)!.splice(0, most),
    finish: async ({ videoId }) => void finished.push(videoId),
  }
  const refused = { code: 'already_ended', detail: 'It has ended.' }
  const { promise, resolve } = Promise.withResolvers<typeof refused>()
  let asked = 0
  const carryOut: CarryOut = async ({ userId }) => {
    if (userId !== 'a') return refused
    asked++
    return promise
  }
  await using runner = new BulkRunner(actions, carryOut, createLogger('gateway', 'silent'))
  runner.wake()
  await expect.poll(() => asked, { timeout: 5_000 }).toBe(8)
  const of = Array.from({ length: 20 }, (_, i) => job('b', i))
  todo.set('b', [...of])
  runner.wake()
  await expect.poll(() => finished.length, { timeout: 5_000 }).toBe(20)
  expect(finished.toSorted()).toEqual(of.map(({ videoId }) => videoId).toSorted())
  expect(asked).toBe(8)
  todo.clear()
  todo.set('a', [])
  resolve(refused)
})
