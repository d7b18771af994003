/**
 * submit hosts the machine of a pending video: turn by turn, with answers by chance, its row on a
 * real Postgres says what the machine says.
 */
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CreateAnswer, Found } from '#libs/provider/provider.ts'
import type { Database } from '#libs/store/connect.ts'
import type { SubmissionWriter } from '#libs/store/submissions.ts'
import {
  advancePending,
  stateOfPending,
  type PendingRecord,
  type PendingState,
} from '#libs/scene-video/pending.ts'
import type { VideoSignal } from '#libs/scene-video/signals.ts'
import type { Demo } from '#services/dev/seed.ts'
import { SendingAccounts } from '#services/submit/accounts.ts'
import { submitVideo } from '#services/submit/submit-video.ts'
import { generator } from '../simulation/world.ts'
import { key, pendingKit } from '../support/pending-kit.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))
const random = generator(seed)
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!

let kit: StoreKit
let db: Database
let demo: Demo
let store: SubmissionWriter
beforeAll(async () => {
  kit = await startStore()
  ;({ db, demo, submissions: store } = kit)
})
afterAll(() => kit?.[Symbol.asyncDispose]())

const error = { code: 'content_policy', message: 'no' } as const
const creates: readonly CreateAnswer[] = [
  { kind: 'accepted', taskId: '' },
  { kind: 'refused', error },
  { kind: 'later', retryAfterMs: 1_000, reason: '429' },
  { kind: 'later', retryAfterMs: null, reason: 'ECONNREFUSED' },
  { kind: 'unreadable', reason: 'html' },
  { kind: 'unknown', reason: 'reset' },
  { kind: 'unknown', reason: 'time-out' },
]
const finds: readonly Found['answer'][] = [
  { kind: 'missing' },
  { kind: 'missing' },
  { kind: 'working', phase: 'running', progress: null },
  { kind: 'none', reason: 'reset' },
]

/** What the provider says of this turn, as the machine is told it. */
interface Turn {
  create: CreateAnswer
  find: Found['answer']
  isUnreadable: boolean
}
const waits = { reason: expect.any(String) as unknown as string, ms: 1 }
function ofCreate({ create }: Turn): VideoSignal {
  switch (create.kind) {
    case 'accepted':
      return { type: 'ACCEPTED' }
    case 'refused':
      return { type: 'REFUSED', error: create.error }
    case 'later':
      return { type: 'WAITING', reason: create.reason, ms: 1 }
    default:
      return { type: 'IN_DOUBT', ...waits }
  }
}
function ofLookUp({ find, isUnreadable }: Turn): VideoSignal {
  if (find.kind === 'working') return { type: 'ACCEPTED' }
  if (find.kind !== 'missing') return { type: 'IN_DOUBT', ...waits }
  return isUnreadable ? { type: 'LOST', reason: '' } : { type: 'ABSENT' }
}

/** The whole turn, by the machine alone. */
function said(from: PendingState, turn: Turn): { state: PendingState; records: PendingRecord[] } {
  const records: PendingRecord[] = []
  let state = from
  let signal: VideoSignal | null = { type: 'TURN' }
  while (signal) {
    const step = advancePending(state, signal)
    state = step.state
    if (step.record) records.push(step.record)
    const next: Record<string, VideoSignal> = {
      lookUp: ofLookUp(turn),
      intend: { type: 'INTENT' },
      create: ofCreate(turn),
    }
    signal = (step.action && next[step.action.type]) ?? null
  }
  return { state, records }
}

it(`records what the machine says, seed ${seed}`, async () => {
  const reached = new Set<string>()
  for (let i = 0; i < 40; i++) {
    const request = { ...demo, sceneId: demo.sceneIds[0]!, body: {}, idempotencyKey: null }
    const system = { provider: 'toapis', providers: {} }
    const { video } = await store.acceptRequest({ ...request, id: crypto.randomUUID(), system })
    for (let turns = 0; turns < 8; turns++) {
      const before = (await store.load(video.id))!
      if (before.video.status !== 'pending' || before.video.taskId !== null) break
      const turn: Turn = {
        create: { ...pick(creates) },
        find: pick(finds),
        isUnreadable: before.submissions.at(-1)?.answer === 'unreadable',
      }
      if (turn.create.kind === 'accepted') turn.create.taskId = `task-${video.id}`
      const { context } = pendingKit({
        provider: {
          create: async () => turn.create,
          find: async () => ({
            answer: turn.find,
            taskId: turn.find.kind === 'working' ? `task-${video.id}` : null,
            rateLimit: null,
          }),
          resultLifeMs: 86_400_000,
        },
      })
      Object.assign(context, { store, accounts: new SendingAccounts(key) })
      Object.assign(context, { absences: { counts: () => true }, lookups: { inc() {} } })
      context.store.isProven = async () => true
      await db.$executeRaw`UPDATE "SceneVideo" SET "waitUntil" = NULL WHERE id = ${video.id}::uuid`
      const expected = said(
        stateOfPending(before.video, before.submissions, before.waitReason),
        turn,
      )
      await submitVideo(context, { id: video.id })

      const after = (await store.load(video.id))!
      const row = await db.sceneVideo.findUniqueOrThrow({ where: { id: video.id } })
      const last = expected.records.at(-1)
      const events = expected.records.flatMap((one) => one.event ?? [])
      const timeline = await db.timeline.findMany({
        where: { videoId: video.id },
        orderBy: { id: 'asc' },
      })
      reached.add(expected.state.phase)
      expect({
        status: row.status,
        phase: row.phase,
        leaf: stateOfPending(after.video, after.submissions).phase,
        events: timeline.slice(before.video.version).map((one) => one.event),
        version: row.version,
        error: row.errorCode,
        waits: row.waitReason,
      }).toEqual({
        status: expected.state.status,
        phase:
          expected.state.phase === 'inDoubt' ? expected.state.facts.shown : expected.state.phase,
        leaf: expected.state.phase,
        events,
        version: before.video.version + events.length,
        error: last?.kind === 'failed' ? last.error.code : null,
        waits: last?.kind === 'wait' ? last.reason : null,
      })
    }
  }
  expect([...reached].toSorted()).toEqual(['done', 'inDoubt', 'submitted', 'throttled'])
}, 600_000)

it('reads what was sent beside a lost create: tasks that are known, and rivals of the same prompt', async () => {
  const place = {
    provider: 'toapis',
    baseUrl: 'https://beside.example.com',
    keyCipher: 'v1.a.b.c',
  }
  const newVideo = async () => {
    const request = { ...demo, sceneId: demo.sceneIds[0]!, body: {}, idempotencyKey: null }
    const system = { provider: 'toapis', providers: {} }
    return (await store.acceptRequest({ ...request, id: crypto.randomUUID(), system })).video.id
  }
  const sent = async (answer?: 'absent' | 'lost') => {
    const id = await newVideo()
    expect(await store.intend(id, 1, 1, place)).not.toBeNull()
    if (answer) await store.answered(id, 1, 1, answer, 'why')
    return (await store.load(id))!.submissions[0]!
  }
  const mine = await sent()
  expect(await store.sentBeside(mine, 60_000)).toEqual({ known: [], hasRivals: false })
  await sent('absent')
  const other = await sent()
  await store.recordAcceptance(other.videoId, {
    attempt: 1,
    send: 1,
    taskId: 'theirs',
    how: 'answer',
  })
  expect(await store.sentBeside(mine, 60_000)).toEqual({
    known: ['theirs'],
    hasRivals: false,
  })
  await sent('lost')
  expect(await store.sentBeside(mine, 60_000)).toEqual({ known: ['theirs'], hasRivals: true })
})
