/**
 * What waits is quiet: a pending video of each kind, worked on by the real parts over the store in
 * memory, costs a few requests, statements and log lines a minute, and says why it waits.
 */
import { expect, it } from 'vitest'
import type { CreateAnswer, Found } from '#libs/provider/provider.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import { toVideoEvent } from '#libs/store/rows.ts'
import { MemoryStore } from '../../test/simulation/memory-store.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { pendingKit } from '../../test/support/pending-kit.ts'
import { PendingVideos } from './pending-videos.ts'

const minutes = 30
const videos = 20
const none: Found = { answer: { kind: 'none', reason: 'reset' }, taskId: null, rateLimit: null }
const later = (retryAfterMs: number | null, reason: string): CreateAnswer => ({
  kind: 'later',
  retryAfterMs,
  reason,
})

/** What `videos` of one account cost a minute each, once they have waited for five minutes. */
async function costOf(create: CreateAnswer, find: Found = none) {
  const world = new World(1)
  const { clock } = new Process(world, 'submit')
  const memory = new MemoryStore(() => world.now)
  const cost = { requests: 0, statements: 0, lines: 0 }
  const counted = <T>(kind: keyof typeof cost, result: T): T => (cost[kind]++, result)
  const store = new Proxy(memory, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      return (...args: unknown[]) => {
        if (name !== 'takeDue') cost.statements++ // one a second, however many wait
        return method.apply(target, args) as unknown
      }
    },
  })
  const { context } = pendingKit({
    provider: {
      resultLifeMs: 86_400_000,
      create: async () => counted('requests', create),
      find: async () => counted('requests', find),
    },
  })
  const line = () => void cost.lines++
  const log = { info: line, warn: line, error: line, debug: () => {} }
  Object.assign(context, { clock, store, log })
  const pending = new PendingVideos(context)
  const body = { prompt: 'x' }
  const place = { userId: 'u', projectId: 'p', scriptId: 's', sceneId: 'c' }
  const system = { provider: 'toapis', providers: {} }
  const until = async (ms: number) => {
    while (world.now < ms && (await world.step()));
  }
  for (let i = 0; i < videos; i++) {
    const request = { ...place, id: world.uuid(), body, idempotencyKey: null, system }
    const { made } = await memory.acceptRequest(request)
    pending.take(made!.loaded.video, made!.loaded)
  }
  await until(5 * 60_000)
  Object.assign(cost, { requests: 0, statements: 0, lines: 0 })
  await until((5 + minutes) * 60_000)
  const a = (count: number) => count / minutes / videos
  const rows = [...memory.videos.values()]
  return {
    requests: a(cost.requests),
    statements: a(cost.statements),
    lines: a(cost.lines),
    isOpen: rows.every(({ status }) => !isTerminal(status)),
    waiting: rows.map((row) => toVideoEvent({ ...row, file: null }).waiting),
    events: memory.timeline.length / videos,
  }
}

it.each([
  ['is told to come again in a second', later(1_000, 'rate limit')],
  ['is told to come again in an hour', later(3_600_000, 'budget used up')],
  ['reaches nobody', later(null, 'ECONNREFUSED')],
  ['is in doubt, and gets no usable answer to its look-ups', { kind: 'unknown', reason: 'reset' }],
] as const)('a video that %s', async (_, create) => {
  const cost = await costOf(create)
  expect(cost.isOpen).toBe(true)
  expect(cost.requests).toBeLessThanOrEqual(3)
  expect(cost.statements).toBeLessThanOrEqual(8)
  expect(cost.lines).toBeLessThanOrEqual(3)
  // requested, and once that it waits
  expect(cost.events).toBeLessThanOrEqual(2)
  for (const waiting of cost.waiting) {
    expect(waiting?.reason).toMatch(/rate limit|budget|ECONNREFUSED|answer to its create was lost/)
    expect(waiting?.until).not.toBeNull()
  }
})
