/** Rules of submit that only a rare coincidence would show in a whole world, each by itself. */
import { expect, it, vi } from 'vitest'
import { systemClock } from '#libs/runtime/clock.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { Process, World } from '../../test/simulation/world.ts'
import { Absences } from './absences.ts'
import { SendingAccounts } from './accounts.ts'
import type { SubmitContext } from './context.ts'
import { PendingVideos } from './pending-videos.ts'
import { submitVideo } from './submit-video.ts'

const log = createLogger('test', 'silent')

it('sends no later attempt before an earlier one, whose send a restored Postgres had forgotten, is looked up', async () => {
  const key: Keyring = [Buffer.alloc(32, 1)]
  const [restoredAt, after] = [new Date(1_000), new Date(2_000)]
  const pins = {
    provider: 'toapis',
    baseUrl: 'https://example.com/v1',
    keyCipher: encrypt('sk-x', key),
  }
  const send = {
    ...pins,
    videoId: 'v',
    send: 1,
    answer: null,
    taskId: null,
    outcome: null,
    settledAt: null,
    intentAt: after,
  }
  const submissions = [{ ...send, attempt: 2, answer: 'later' }]
  const video = {
    id: 'v',
    status: 'pending',
    attempt: 2,
    provider: 'toapis',
    taskId: null,
    restoredAt,
    cancelRequested: false,
    params: {},
    model: 'm',
    prompt: 'p',
  }
  const create = vi.fn()
  const accepted = vi.fn(async () => ({ fate: 'taken', event: null }))
  const context = {
    config: {
      SEND_WINDOW_MS: 1_000,
      LOOKUP_WINDOW_MS: 6_000,
      KEY_ENCRYPTION_KEY: key,
      TOAPIS_BASE_URL: pins.baseUrl,
      TOAPIS_API_KEY: 'sk-x',
    },
    log,
    clock: { now: () => 0, random: () => 0.5 },
    accounts: new SendingAccounts(key),
    slots: new FairSlots(sharedByHalf(10, systemClock)),
    absences: new Absences(),
    lookups: { inc: () => {} },
    bus: { store: async () => 1 },
    publish: () => {},
    provider: {
      name: 'toapis',
      can: { findByOwnId: true },
      create,
      find: async () => ({ answer: { kind: 'working' }, taskId: 'paid-before', rateLimit: null }),
    },
    store: {
      load: async () => ({
        video,
        submissions: [...submissions],
        config: null,
        ageMs: submissions.map(() => 0),
        untilDeadlineMs: null,
        requestedMs: 0,
        untilTryMs: null,
        waitReason: null,
      }),
      accepted,
      addDoubtfulIntentsAfterRestore: async () =>
        submissions.length === 1
          ? submissions.unshift({ ...send, attempt: 1, answer: null as never })
          : 0,
    },
  } as unknown as SubmitContext
  expect(await submitVideo(context, 'v')).toBe(0)
  expect(await submitVideo(context, 'v')).toBeNull()
  expect(create).not.toHaveBeenCalled()
  const task = { attempt: 1, send: 1, taskId: 'paid-before', how: 'adopted' }
  expect(accepted).toHaveBeenCalledWith('v', task, undefined)
})

/** A first send about to happen, whose intent is written as `intend` says. */
function aboutToSend(intend: () => boolean, now = () => 0) {
  const key: Keyring = [Buffer.alloc(32, 1)]
  const video = {
    id: 'v',
    status: 'pending',
    attempt: 1,
    provider: 'toapis',
    taskId: null,
    restoredAt: null,
    cancelRequested: false,
    params: {},
    model: 'm',
    prompt: 'p',
  }
  const create = vi.fn(async () => ({ kind: 'accepted', taskId: 't' }))
  const answered = vi.fn(async () => {})
  const context = {
    config: {
      SEND_WINDOW_MS: 1_000,
      LOOKUP_WINDOW_MS: 6_000,
      KEY_ENCRYPTION_KEY: key,
      TOAPIS_BASE_URL: 'https://example.com/v1',
      TOAPIS_API_KEY: 'sk-x',
    },
    log,
    clock: { now, random: () => 0.5 },
    accounts: new SendingAccounts(key),
    slots: new FairSlots(sharedByHalf(10, systemClock)),
    provider: { name: 'toapis', create },
    store: {
      load: async () => ({
        video,
        submissions: [],
        config: { baseUrl: 'https://example.com/v1', keyCipher: encrypt('sk-x', key) },
        ageMs: [],
        untilDeadlineMs: null,
        requestedMs: 0,
        untilTryMs: null,
        waitReason: null,
      }),
      answered,
      intend: async () => (intend() ? { video } : null),
    },
  } as unknown as SubmitContext
  return { context, create, answered, key }
}

it('sends nothing when writing the intent took longer than the send window', async () => {
  let now = 0
  const { context, create, answered } = aboutToSend(
    () => ((now += 1_001), true),
    () => now,
  )
  expect(await submitVideo(context, 'v')).toBe(50)
  expect(create).not.toHaveBeenCalled()
  expect(answered).toHaveBeenCalledWith('v', 1, 1, 'later', expect.any(String))
})

it('sends nothing when somebody else won the intent', async () => {
  const { context, create } = aboutToSend(() => false)
  expect(await submitVideo(context, 'v')).toBeGreaterThan(500)
  expect(create).not.toHaveBeenCalled()
})

/** A second send after one that was absent for the whole window. */
function afterAnAbsence(answer: string | null, isProven: boolean) {
  const { context, create, key } = aboutToSend(() => true)
  const send = {
    videoId: 'v',
    attempt: 1,
    send: 1,
    answer,
    taskId: null,
    outcome: null,
    settledAt: null,
    provider: 'toapis',
    baseUrl: 'https://first.example.com/v1',
    keyCipher: encrypt('sk-first', key),
  }
  const { load } = context.store
  const failPending = vi.fn(async () => null)
  Object.assign(context, {
    absences: { counts: () => true },
    lookups: { inc: () => {} },
    creates: { inc: () => {} },
    bus: { store: async () => 1 },
    provider: {
      name: 'toapis',
      can: { findByOwnId: true },
      create,
      find: async () => ({ answer: { kind: 'missing' }, taskId: null, rateLimit: null }),
    },
    store: {
      ...context.store,
      load: async (id: string) => ({ ...(await load(id)), submissions: [send], ageMs: [0] }),
      isProven: async () => isProven,
      prove: async () => {},
      accepted: async () => ({ fate: 'taken', event: null }),
      failPending,
    },
  })
  return { context, create, failPending }
}

it('sends again with the first send’s address and key, whatever is configured since', async () => {
  const { context, create } = afterAnAbsence('absent', true)
  await submitVideo(context, 'v')
  expect(create).toHaveBeenCalledWith(
    expect.objectContaining({ baseUrl: 'https://first.example.com/v1', apiKey: 'sk-first' }),
    expect.objectContaining({ ownId: 'v-1' }),
    expect.anything(),
  )
})

it.each([
  ['sends again what is absent where a task was ever found by own id', null, true, 1],
  ['sends nothing again where no task was ever found by own id', null, false, 0],
  ['sends nothing again after an answer that could not be read', 'unreadable', true, 0],
] as const)('%s', async (_, answer, isProven, creates) => {
  const { context, create, failPending } = afterAnAbsence(answer, isProven)
  await submitVideo(context, 'v')
  expect(create).toHaveBeenCalledTimes(creates)
  if (!creates)
    expect(failPending).toHaveBeenCalledWith(
      'v',
      1,
      expect.objectContaining({ code: 'submission_unknown' }),
    )
})

it('ends a pending video whose cancel was asked for, or whose time is over, while its create is open', async () => {
  const world = new World(1)
  const { context, create } = aboutToSend(() => true)
  create.mockImplementation(() => new Promise(() => {}))
  const due = { attempt: 1, cancelRequested: false, untilDeadlineMs: null, requestedMs: 0 }
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
