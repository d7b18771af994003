/** Rules of submit that only a rare coincidence would show in a whole world, each by itself. */
import { expect, it, vi } from 'vitest'
import { decrypt, encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { key, pendingKit, sendOf } from '../../test/support/pending-kit.ts'
import { SendingAccounts } from './accounts.ts'
import { submitVideo } from './submit-video.ts'

it('sends no later attempt before an earlier one, whose send a restored Postgres had forgotten, is looked up', async () => {
  const after = { intentAt: new Date(2_000) }
  const submissions = [sendOf({ ...after, attempt: 2, answer: 'later' })]
  const recordAcceptance = vi.fn(async () => ({ fate: 'taken', event: null }))
  const { context, create } = pendingKit({
    video: { attempt: 2, restoredAt: new Date(1_000) },
    submissions,
    provider: {
      find: async () => ({
        answer: { kind: 'working', phase: 'queued', progress: null },
        taskId: 'paid-before',
        rateLimit: null,
      }),
    },
    store: {
      recordAcceptance,
      addDoubtfulIntentsAfterRestore: async () =>
        submissions.length === 1 ? submissions.unshift(sendOf(after)) : 0,
    },
  })
  expect(await submitVideo(context, { id: 'v' })).toBe(0)
  expect(await submitVideo(context, { id: 'v' })).toBeNull()
  expect(create).not.toHaveBeenCalled()
  const task = { attempt: 1, send: 1, taskId: 'paid-before', how: 'adopted' }
  expect(recordAcceptance).toHaveBeenCalledWith('v', task, undefined)
})

it('sends nothing when writing the intent took longer than the send window', async () => {
  let now = 0
  const { context, create, answered } = pendingKit({
    now: () => now,
    store: { intend: async () => ((now += 1_001), {}) },
  })
  expect(await submitVideo(context, { id: 'v' })).toBe(50)
  expect(create).not.toHaveBeenCalled()
  expect(answered).toHaveBeenCalledWith('v', 1, 1, 'later', expect.any(String))
})

it('sends nothing when somebody else won the intent', async () => {
  const { context, create } = pendingKit({ store: { intend: async () => null } })
  expect(await submitVideo(context, { id: 'v' })).toBeGreaterThan(500)
  expect(create).not.toHaveBeenCalled()
})

it('has no other video of an account wait for how often one was sent', async () => {
  const later = { kind: 'later', retryAfterMs: null, reason: 'ECONNREFUSED' } as const
  const { context } = pendingKit({
    submissions: [1, 2, 3, 4, 5, 6].map((send) => sendOf({ send, answer: 'later' })),
    provider: { create: async () => later },
  })
  expect(await submitVideo(context, { id: 'v' })).toBeGreaterThan(20_000)
  const other = pendingKit()
  Object.assign(other.context, { accounts: context.accounts })
  await submitVideo(other.context, { id: 'w' })
  expect(other.create).toHaveBeenCalledOnce()
})

it.each([
  ['who was not reached is tried again by how often it was sent, however old', {}, 4_000],
  ['who is over a limit is tried seldom once it is old', { isOverLimit: true }, 45_000],
] as const)('%s', async (_, more, leastMs) => {
  const later = { kind: 'later', retryAfterMs: null, reason: 'x', ...more } as const
  const { context } = pendingKit({
    submissions: [1, 2].map((send) => sendOf({ send, answer: 'later' })),
    provider: { create: async () => later },
    requestedMs: 120_000,
  })
  const againMs = await submitVideo(context, { id: 'v' })
  expect(againMs).toBeGreaterThanOrEqual(leastMs)
  expect(againMs).toBeLessThanOrEqual(1.5 * leastMs)
})

/** A second send after one that was absent for the whole window. */
function afterAnAbsence(answer: string | null, isProven: boolean) {
  const kit = pendingKit({
    submissions: [
      sendOf({
        answer,
        baseUrl: 'https://first.example.com/v1',
        keyCipher: encrypt('sk-first', key),
      }),
    ],
    provider: {
      find: async () => ({ answer: { kind: 'missing' }, taskId: null, rateLimit: null }),
    },
    store: { isProven: async () => isProven },
  })
  Object.assign(kit.context, { absences: { counts: () => true } })
  return kit
}

it('seals what it pins to the current key, whichever it was read under', async () => {
  const [former, current]: [Keyring, Buffer] = [key, Buffer.alloc(32, 2)]
  const intend = vi.fn<(...args: unknown[]) => Promise<null>>(async () => null)
  const { context } = pendingKit({ store: { intend } })
  Object.assign(context, { accounts: new SendingAccounts([current, former[0]]) })
  await submitVideo(context, { id: 'v' })
  const { keyCipher } = intend.mock.calls[0]![3] as { keyCipher: string }
  expect(decrypt(keyCipher, [current])).toBe('sk-x')
})

it('sends again with the first send’s address and key, whatever is configured since', async () => {
  const { context, create } = afterAnAbsence('absent', true)
  await submitVideo(context, { id: 'v' })
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
  await submitVideo(context, { id: 'v' })
  expect(create).toHaveBeenCalledTimes(creates)
  if (!creates)
    expect(failPending).toHaveBeenCalledWith(
      'v',
      1,
      expect.objectContaining({ code: 'submission_unknown' }),
    )
})
