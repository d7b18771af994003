/** What ended an earlier attempt, asked about by a retry before it sends. */
import { expect, it, vi } from 'vitest'
import type { Provider, Searched } from '#libs/provider/provider.ts'
import { pendingKit, sendOf } from '../../test/support/pending-kit.ts'
import { submitVideo } from './submit-video.ts'

const minute = 60_000
const times = { expectedMs: 10 * minute, resultLifeMs: 1_440 * minute }

const retried = (
  answer: 'lost' | 'refused',
  search: Provider['search'],
  requestedMs = 0,
  can: Provider['can'] = { findByOwnId: false, listMs: 60 * minute, cancel: false },
) => {
  const looked = vi.fn(async () => {})
  const video = { attempt: 2 }
  const provider = { can, search, ...times }
  const submissions = [sendOf({ intentAt: new Date(0), answer, settledAt: new Date() })]
  const recordAcceptance = vi.fn(async () => ({ fate: 'taken', event: null }))
  const kit = pendingKit({ video, submissions, provider, store: { looked, recordAcceptance } })
  const { load } = kit.context.store
  const more = { ageMs: [11 * minute], requestedMs }
  Object.assign(kit.context.store, {
    load: async (id: string) => ({ ...(await load(id))!, ...more }),
    recordWait: async () => null,
  })
  return { ...kit, looked, recordAcceptance }
}
const told = (searched: Searched) => vi.fn<Provider['search']>(async () => searched)

it.each(['lost', 'refused'] as const)(
  'takes the task of a %s send that now shows',
  async (answer) => {
    const { context, create, recordAcceptance } = retried(
      answer,
      told({ kind: 'found', taskId: 't' }),
    )
    await submitVideo(context, { id: 'v' })
    expect(recordAcceptance).toHaveBeenCalledWith(
      'v',
      { attempt: 1, send: 1, taskId: 't', how: 'adopted' },
      undefined,
    )
    expect(create).not.toHaveBeenCalled()
  },
)

it.each([
  ['lost', { kind: 'absent' }],
  ['lost', { kind: 'doubtful', reason: 'two may be it' }],
  ['refused', { kind: 'absent' }],
] as const)('sends it after one look at a %s send that says %o', async (answer, searched) => {
  const search = told(searched)
  const { context, create, looked } = retried(answer, search)
  await submitVideo(context, { id: 'v' })
  expect([search, looked, create].map(({ mock }) => mock.calls.length)).toEqual([1, 1, 1])
  expect(looked).toHaveBeenCalledWith('v', 1, 1)
})

it('waits for its turn at the provider, and for a usable answer over one window', async () => {
  const later = told({ kind: 'later', retryAfterMs: 3_000 })
  const busy = retried('lost', later, 60 * minute)
  expect(await submitVideo(busy.context, { id: 'v' })).toBe(3_000)
  const none = told({ kind: 'none', reason: '500' })
  const soon = retried('lost', none, 5_999)
  expect(await submitVideo(soon.context, { id: 'v' })).toBeGreaterThan(0)
  for (const { looked, create } of [busy, soon])
    expect([looked, create].map(({ mock }) => mock.calls.length)).toEqual([0, 0])
  for (const [answer, requestedMs] of [
    ['lost', 6_000],
    ['refused', 5_000],
  ] as const) {
    const over = retried(answer, none, requestedMs)
    await submitVideo(over.context, { id: 'v' })
    expect(over.create).toHaveBeenCalledTimes(1)
  }
})

const unusable = {
  kind: 'unusable',
  error: { code: 'no_result', message: 'no link' },
  body: '{}',
} as const
const done = { kind: 'done', videoUrl: 'https://example.com/t.mp4', expiresAt: null } as const

it.each([
  ['takes a link that has come', done, 0, 'adopted', 0],
  ['waits for one over a window', unusable, 5_999, null, 0],
  ['sends after that', unusable, 6_000, 'lookup', 1],
] as const)('%s, where a task was done without', async (_, answer, requestedMs, how, creates) => {
  const get = vi.fn(async () => ({ answer, taskId: 't', rateLimit: null }))
  const noteLate = vi.fn(async () => true)
  const sent = sendOf({ intentAt: new Date(0), answer: 'accepted', taskId: 't' })
  const recordAcceptance = vi.fn(async () => ({ fate: 'taken', event: null }))
  const kit = pendingKit({
    video: { attempt: 2 },
    submissions: [sent],
    provider: { get, ...times },
    store: { recordAcceptance, noteLate, recordWait: async () => null },
  })
  const { load } = kit.context.store
  Object.assign(kit.context.store, {
    load: async (id: string) => ({ ...(await load(id))!, ageMs: [minute], requestedMs }),
  })
  await submitVideo(kit.context, { id: 'v' })
  expect(kit.create).toHaveBeenCalledTimes(creates)
  const first = recordAcceptance.mock.calls.map((args: unknown[]) => args[1])[0]
  if (how) expect(first).toEqual({ attempt: 1, send: 1, taskId: 't', how })
  expect(noteLate).toHaveBeenCalledTimes(creates)
})

it('repeats no create of an earlier attempt', async () => {
  const { context, create } = retried('refused', told({ kind: 'absent' }), 0, {
    findByOwnId: false,
    repeatMs: 30 * minute,
    cancel: false,
  })
  await submitVideo(context, { id: 'v' })
  expect(create.mock.calls.map((args: unknown[]) => args[1])).toMatchObject([{ ownId: 'v-2' }])
})
