/** A lost create, recovered by the form that its provider has. */
import { expect, it, vi } from 'vitest'
import type { Provider, Lost, Searched } from '#libs/provider/provider.ts'
import { Callbacks } from '#libs/provider/callbacks.ts'
import { key, pendingKit, sendOf } from '../../test/support/pending-kit.ts'
import { settleVideo } from './settle.ts'
import { submitVideo } from './submit-video.ts'

const intentAt = new Date(1_000_000)
const minute = 60_000
const times = { expectedMs: 10 * minute, resultLifeMs: 1_440 * minute }

/** A send of which no answer is known, that old. */
function lost(
  ageMs: number,
  provider: object,
  store: object = {},
  counts: () => boolean = () => true,
  send: object = {},
) {
  const submissions = [sendOf({ intentAt, ...send })]
  const recordAcceptance = vi.fn(async () => ({ fate: 'taken', event: null }))
  const kit = pendingKit({
    submissions,
    provider: { ...times, ...provider },
    store: { recordAcceptance, ...store },
  })
  const { load } = kit.context.store
  Object.assign(kit.context.store, {
    load: async (id: string) => ({ ...(await load(id))!, ageMs: [ageMs] }),
    recordWait: async () => null,
  })
  Object.assign(kit.context, { absences: { counts } })
  return { ...kit, recordAcceptance }
}
const byKey = { can: { findByOwnId: false, repeatMs: 10 * minute, cancel: false } as const }
const byList = (search: (account: object, lost: Lost) => Promise<Searched>) => ({
  can: { findByOwnId: false, listMs: 60 * minute, cancel: false },
  search: vi.fn(search),
})
const taken = { attempt: 1, send: 1, taskId: 't', how: 'lookup' }

it('repeats a create under its key while that makes no second task', async () => {
  const { context, create, recordAcceptance } = lost(minute, byKey)
  await submitVideo(context, { id: 'v' })
  expect(create).toHaveBeenCalledTimes(1)
  expect(create).toHaveBeenCalledWith(expect.anything(), expect.objectContaining({ ownId: 'v-1' }))
  expect(recordAcceptance).toHaveBeenCalledWith('v', taken, undefined)
})

it('repeats nothing when half of that time has passed', async () => {
  const { context, create, failPending } = lost(5 * minute, byKey)
  await submitVideo(context, { id: 'v' })
  expect(create).not.toHaveBeenCalled()
  expect(failPending.mock.calls[0]![2]).toMatchObject({ code: 'submission_unknown' })
})

it('does not take a refusal of the repeated create for the fate of the first', async () => {
  const refused = { kind: 'refused', error: { code: 'bad_key', message: 'no' } }
  const { context, failPending } = lost(minute, { ...byKey, create: async () => refused })
  expect(await submitVideo(context, { id: 'v' })).toBeGreaterThan(0)
  expect(failPending).not.toHaveBeenCalled()
})

it('takes the task that is found in the list, asked for the time of the send', async () => {
  const provider = byList(async () => ({ kind: 'found', taskId: 't' }))
  const { context, create, recordAcceptance } = lost(minute, provider, {
    sentBeside: async () => ({ known: ['other'], hasRivals: true }),
  })
  await submitVideo(context, { id: 'v' })
  expect(provider.search.mock.calls[0]![1]).toMatchObject({
    request: { ownId: 'v-1', model: 'm', prompt: 'p' },
    from: 1_000_000,
    until: 1_006_000,
    known: new Set(['other']),
    hasRivals: true,
  })
  expect(recordAcceptance).toHaveBeenCalledWith('v', taken, undefined)
  expect(create).not.toHaveBeenCalled()
})

it('sends again what is absent from a list in which a task was ever found, and only then', async () => {
  const absent = byList(async () => ({ kind: 'absent' }))
  const proven = lost(2 * minute, absent)
  await submitVideo(proven.context, { id: 'v' })
  expect(proven.create).toHaveBeenCalledTimes(1)
  const never = lost(2 * minute, absent, { isProven: async () => false })
  await submitVideo(never.context, { id: 'v' })
  expect(never.create).not.toHaveBeenCalled()
  expect(never.failPending.mock.calls[0]![2]).toMatchObject({ code: 'submission_unknown' })
})

it('takes no absence of a model for one where only tasks of another model were found', async () => {
  const absent = byList(async () => ({ kind: 'absent' }))
  const isProven = async ([proof]: [string]) => !proof.endsWith('/m')
  const { context, create, failPending } = lost(2 * minute, absent, { isProven })
  await submitVideo(context, { id: 'v' })
  expect(create).not.toHaveBeenCalled()
  expect(failPending.mock.calls[0]![2]).toMatchObject({ code: 'submission_unknown' })
})

it('asks on while more than one task may be it, and then gives up', async () => {
  const doubtful = byList(async () => ({ kind: 'doubtful', reason: '2 tasks may be it' }))
  const early = lost(minute, doubtful)
  expect(await submitVideo(early.context, { id: 'v' })).toBeGreaterThan(0)
  expect(early.failPending).not.toHaveBeenCalled()
  const late = lost(11 * minute, doubtful)
  await submitVideo(late.context, { id: 'v' })
  expect(late.create).not.toHaveBeenCalled()
  expect(late.failPending.mock.calls[0]![2]).toMatchObject({
    code: 'submission_unknown',
    message: expect.stringContaining('2 tasks may be it'),
  })
})

/** A send of which a callback named a task, that a get answers so. */
const called = (answer: object, send: object = {}, known: string[] = []) => {
  const get = vi.fn(async () => ({ answer, taskId: 'named' }))
  const provider = {
    can: { findByOwnId: false, cancel: false },
    handleOf: (taskId: string) => `handle of ${taskId}`,
    get,
  }
  const store = { sentBeside: async () => ({ known, hasRivals: false }) }
  const more = { calledTaskId: 'named', ...send }
  return { ...lost(minute, provider, store, undefined, more), get }
}

it('takes the task that a callback named once its account has it, however lost its send', async () => {
  for (const send of [{}, { answer: 'unreadable' }, { answer: 'lost' }]) {
    const { context, get, recordAcceptance } = called({ kind: 'working' }, send)
    await submitVideo(context, { id: 'v' })
    expect(get).toHaveBeenCalledWith(expect.anything(), 'handle of named', {})
    const task = { ...taken, taskId: 'handle of named' }
    expect(recordAcceptance).toHaveBeenCalledWith('v', task, undefined)
  }
})

it('takes no task that its account does not have, or that is of another send', async () => {
  for (const kit of [
    called({ kind: 'missing' }),
    called({ kind: 'unknown', said: 'another task', body: '' }),
    called({ kind: 'none', reason: '500' }),
    called({ kind: 'working' }, {}, ['handle of named']),
  ]) {
    expect(await submitVideo(kit.context, { id: 'v' })).toBeGreaterThan(0)
    expect(kit.recordAcceptance).not.toHaveBeenCalled()
    expect(kit.create).not.toHaveBeenCalled()
  }
})

it('waits for the callback of a lost create that the provider cannot be asked about', async () => {
  const none = { can: { findByOwnId: false, cancel: false } }
  const told = lost(minute, none)
  Object.assign(told.context, { callbacks: new Callbacks('https://example.com', key) })
  expect(await submitVideo(told.context, { id: 'v' })).toBeGreaterThan(0)
  expect(told.failPending).not.toHaveBeenCalled()
  const untold = lost(minute, none)
  await submitVideo(untold.context, { id: 'v' })
  expect(untold.failPending.mock.calls[0]![2]).toMatchObject({ code: 'submission_unknown' })
})

it.each([
  ['that proves an absence', false, 1],
  ['that may leave out a task', true, 0],
])('looks for an accepted task, once, in a list %s: %s', async (_, listMayLack, times) => {
  const search = vi.fn<Provider['search']>(async () => ({ kind: 'found', taskId: 't' }))
  const can = { findByOwnId: false, listMs: 60 * minute, listMayLack, cancel: false } as const
  const { context } = pendingKit({
    provider: { can, search },
    store: { isProven: async () => false },
  })
  await submitVideo(context, { id: 'v' })
  await new Promise((done) => setImmediate(done))
  expect(search).toHaveBeenCalledTimes(times)
})

it('asks on about a send that nobody could tell of', async () => {
  const provider = byList(async () => ({ kind: 'doubtful', reason: 'not in its list' }))
  const gaveUp = lost(11 * minute, provider)
  await submitVideo(gaveUp.context, { id: 'v' })
  expect(gaveUp.answered).toHaveBeenCalledWith('v', 1, 1, 'lost', expect.any(String), true)

  const found = byList(async () => ({ kind: 'found', taskId: 't' }))
  const looked = vi.fn(async () => {})
  const failed = lost(20 * minute, found, { looked }, undefined, { answer: 'lost' })
  const { load } = failed.context.store
  Object.assign(failed.context.store, {
    load: async (id: string) => {
      const loaded = (await load(id))!
      return { ...loaded, video: { ...loaded.video, status: 'failed' } }
    },
  })
  await settleVideo(failed.context, 'v')
  expect(failed.recordAcceptance).toHaveBeenCalledWith('v', taken, undefined)
})
