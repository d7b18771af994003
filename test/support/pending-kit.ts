/** submit's parts around one pending video, for rules that only a rare coincidence would show. */
import { vi } from 'vitest'
import { systemClock } from '#libs/runtime/clock.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import type { CreateRequest, Provider } from '#libs/provider/provider.ts'
import { Callbacks } from '#libs/provider/callbacks.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { Absences } from '#services/submit/absences.ts'
import { SendingAccounts } from '#services/submit/accounts.ts'
import type { SubmitContext } from '#services/submit/context.ts'

export const key: Keyring = [Buffer.alloc(32, 1)]
const baseUrl = 'https://example.com/v1'

/** A send as it was read, without an answer. */
export const sendOf = (more: object) => ({
  provider: 'toapis',
  baseUrl,
  keyCipher: encrypt('sk-x', key),
  videoId: 'v',
  attempt: 1,
  send: 1,
  answer: null as string | null,
  taskId: null,
  calledTaskId: null as string | null,
  outcome: null,
  settledAt: null,
  lookedAt: null,
  ...more,
})

/** Of an account without limits, whose circuit is closed. */
const openGate = {
  enter: async () => null,
  pass: async () => ({ kind: 'free' }),
  isWoken: () => false,
  told: () => {},
  answered: async () => {},
}

const counters = { lookups: { inc: () => {} }, creates: { inc: () => {} } }

interface Kit {
  video?: object
  submissions?: object[]
  now?: () => number
  store?: object
  provider?: Partial<Provider>
  /** For how long it has waited. */
  requestedMs?: number
}

/** A video that waits for its first send, but for what is said otherwise. */
export function pendingKit(kit: Kit = {}) {
  const { video, submissions = [], now = () => 0, store, provider, requestedMs = 0 } = kit
  const create = vi.fn(async () => ({ kind: 'accepted', taskId: 't' }))
  const answered = vi.fn(async () => {})
  const failPending = vi.fn<SubmitContext['store']['failPending']>(async () => null)
  const row = {
    id: 'v',
    status: 'pending',
    phase: 'queued',
    attempt: 1,
    requestedAt: new Date(0),
    provider: 'toapis',
    taskId: null,
    restoredAt: null,
    cancelRequested: false,
    params: {},
    model: 'm',
    prompt: 'p',
    ...video,
  }
  const context = {
    config: { SEND_WINDOW_MS: 1_000, LOOKUP_WINDOW_MS: 6_000 },
    callbacks: new Callbacks(undefined, key),
    log: createLogger('test', 'silent'),
    clock: { now, random: () => 0.5 },
    accounts: new SendingAccounts(key),
    slots: new FairSlots(sharedByHalf(10, systemClock)),
    turns: new FairSlots(sharedByHalf(100, systemClock)),
    commands: new FairSlots(sharedByHalf(10, systemClock)),
    absences: new Absences(),
    lookUpTurns: { until: async () => 0, control: () => ({}) },
    images: { of: async (request: CreateRequest) => request },
    imageSlots: new FairSlots(sharedByHalf(4, systemClock)),
    gate: openGate,
    ...counters,
    bus: { store: async () => 1 },
    publish: () => {},
    providers: {
      of: () => ({ name: 'toapis', can: { findByOwnId: true }, create, ...provider }),
    },
    systemAccounts: {
      isOn: () => true,
      pins: () => ({ provider: 'toapis', baseUrl, keyCipher: encrypt('sk-x', key) }),
    },
    store: {
      load: async () => ({
        video: row,
        submissions: [...submissions],
        config: { baseUrl, keyCipher: encrypt('sk-x', key) },
        ageMs: submissions.map(() => 60_000),
        untilDeadlineMs: null,
        requestedMs,
        untilTryMs: null,
        waitReason: null,
      }),
      intend: async () => ({ video: row }),
      recordAcceptance: async () => ({ fate: 'taken', event: null }),
      isOfAnother: async () => false,
      sentBeside: async () => ({ known: [], hasRivals: false }),
      isProven: async () => true,
      prove: async () => {},
      answered,
      looked: async () => {},
      recordWait: async () => null,
      failPending,
      ...store,
    },
  } as unknown as SubmitContext
  return { context, create, answered, failPending }
}
