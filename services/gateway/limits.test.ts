import { expect, it } from 'vitest'
import type { Clock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import type { Usage, UsageStore } from '#libs/store/usage.ts'
import { Limits } from './limits.ts'

const most = 100
const values = {
  requestsPerMinute: most,
  createsPerMinute: most,
  createsPerDay: most,
  openVideos: most,
  apiKeys: most,
  streams: most,
}

it('keeps what is counted while it first hears what time it is in Postgres', async () => {
  let tick = () => {}
  let answer = () => {}
  const clock = {
    now: () => 0,
    after: (_ms: number, act: () => void) => ((tick = act), () => {}),
  } as unknown as Clock
  const sums: Usage[] = []
  const store = {
    add: async (counted: Usage[]) => {
      sums.push(...counted)
      await new Promise<void>((resolve) => (answer = resolve))
    },
    standings: async () =>
      new Map([['user', { limits: null, used: { requests: 1 }, nowMs: 1_795_000_000_000 }]]),
    openVideos: async () => new Map(),
    forget: async () => {},
  } as unknown as UsageStore
  const limits = new Limits(values, store, { clock, log: createLogger('gateway', 'silent') })
  limits.countRequest('user')
  const settled = () => new Promise((resolve) => setTimeout(resolve, 5))
  tick()
  await settled()
  expect(sums).toEqual([{ userId: 'user', kind: 'requests', used: 1 }])
  await limits.admitCreates('user', 3)
  answer()
  await settled()
  const used = await limits.usedBy('user')
  expect([used.createsPerDay, used.createsPerMinute, used.requestsPerMinute]).toEqual([3, 3, 1])
})

it('counts an open video once, however its row and a reading of the rows cross', async () => {
  let now = 0
  const rows = { open: 0 }
  const store = {
    add: async () => {},
    standings: async () => new Map(),
    openVideos: async () => new Map([['user', rows.open]]),
    forget: async () => {},
  } as unknown as UsageStore
  const clock = { now: () => now, after: () => () => {} } as unknown as Clock
  const two = { ...values, openVideos: 2 }
  const limits = new Limits(two, store, { clock, log: createLogger('gateway', 'silent') })
  await limits.admitCreates('user')
  rows.open = 1
  await limits.admitCreates('user')
  // read while the second is on its way, then it is there
  await limits.usedBy('user')
  rows.open = 2
  await expect(limits.admitCreates('user')).rejects.toMatchObject({ code: 'limit_exceeded' })
  rows.open = 1
  for (let i = 0; i < 2; i++) await limits.usedBy('user')
  now = 5_000
  await limits.admitCreates('user')
})
