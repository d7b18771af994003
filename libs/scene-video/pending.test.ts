/**
 * What the machine says of a pending video, and what is decided from its row and sends when that is
 * written, are the same.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decideAcceptance,
  decideCancel,
  decideIntent,
  isWaitingAt,
  maxSends,
  type PendingTimes,
  type SendFacts,
  type VideoFacts,
} from './decisions.ts'
import { advancePending, maxPendingMs, dueSignal, stateOfPending } from './pending.ts'
import type { VideoSignal } from './signals.ts'

const answers = [null, 'later', 'absent', 'refused', 'unreadable', 'lost', 'accepted'] as const
/** A video and its sends, as rows may have them. */
const found = fc
  .record({
    attempt: fc.constantFrom(1, 2),
    phase: fc.constantFrom('queued', 'throttled'),
    taskId: fc.constantFrom(null, null, null, 'task-1-1', 'task-2-1'),
    cancelRequested: fc.constantFrom(false, false, true),
    status: fc.constantFrom('pending', 'pending', 'pending', 'generating', 'completed', 'failed'),
    said: fc.array(fc.constantFrom(...answers), { maxLength: 4 }),
    saidEarlier: fc.array(fc.constantFrom(...answers), { maxLength: 2 }),
  })
  .map(({ said, saidEarlier, ...row }) => {
    const of = (attempt: number, list: readonly (string | null)[]): SendFacts[] =>
      list.map((answer, i) => ({
        attempt,
        send: i + 1,
        answer,
        taskId: answer === 'accepted' ? `task-${attempt}-${i + 1}` : null,
        lookedAt: null,
      }))
    const phase = row.taskId !== null ? 'submitted' : row.phase
    const video = { ...row, phase, requestedAt: new Date(0) } as VideoFacts
    return {
      video:
        video.status === 'generating' ? { ...video, taskId: 'task-1-1', phase: 'running' } : video,
      sends: [
        ...of(1, row.attempt === 2 ? saidEarlier : said),
        ...(row.attempt === 2 ? of(2, said) : []),
      ],
    }
  })
const isWaiting = ({ video }: { video: VideoFacts }) => isWaitingAt(video, video.attempt)

const holds = (check: (one: { video: VideoFacts; sends: SendFacts[] }) => void) =>
  fc.assert(fc.property(found, check), { numRuns: 3_000 })

describe('the machine and what is decided under the row’s lock', () => {
  it('intend a send in the same states', () => {
    let intended = 0
    holds(({ video, sends }) => {
      const own = sends.filter((one) => one.attempt === video.attempt)
      const send = (own.at(-1)?.send ?? 0) + 1
      const decision = decideIntent(video, sends, { attempt: video.attempt, send })
      // rows have no send after one that may have been accepted
      if (
        own.slice(0, -1).some((one) => !['absent', 'later', 'refused'].includes(one.answer ?? ''))
      )
        return
      const state = stateOfPending(video, sends)
      const settled = {
        ...state,
        facts: { ...state.facts, isToLookUp: own.some(({ answer }) => answer === 'lost') },
      }
      const { action } = advancePending(settled, { type: 'TURN' })
      expect(action?.type === 'intend').toBe(decision !== null)
      if (decision === null) return
      intended++
      expect(advancePending(settled, { type: 'INTENT' })).toMatchObject({
        state: { status: 'pending', phase: 'sending' },
        action: { type: 'create' },
        record: null,
      })
    })
    expect(intended).toBeGreaterThan(100)
  })

  it('move by the same acceptances', () => {
    holds(({ video, sends }) => {
      const sent = sends.find((one) => one.attempt === video.attempt)
      if (!sent) return
      const task = {
        attempt: sent.attempt,
        send: sent.send,
        taskId: sent.taskId ?? 'new',
        how: 'answer',
      } as const
      const { moves } = decideAcceptance(video, sends, task)
      const { record, state } = advancePending(stateOfPending(video, sends), { type: 'ACCEPTED' })
      expect(record?.kind === 'submitted').toBe(moves)
      if (moves) expect(state).toMatchObject({ status: 'pending', phase: 'submitted' })
    })
  })
})

describe('the machine and what a person asked for', () => {
  it('carry out a cancel at once, or later, in the same states', () => {
    holds((one) => {
      const { video, sends } = one
      if (!isWaiting(one) || video.cancelRequested) return
      const decision = decideCancel(video, sends, null)
      const { state, record } = advancePending(stateOfPending(video, sends), { type: 'CANCEL' })
      expect(state.status === 'failed').toBe(decision === 'at_once')
      expect(record?.kind ?? null).toBe(decision === 'at_once' ? 'failed' : null)
      if (decision === 'at_once') return
      expect(state.phase).toBe('cancelling')
      expect(state).toEqual(stateOfPending({ ...video, cancelRequested: true }, sends))
      expect(advancePending(state, { type: 'CANCELLED' }).record).toMatchObject({
        kind: 'failed',
        error: { code: 'cancelled', message: expect.stringContaining('a retry takes it') },
      })
    })
  })

  it('end what waits for its acceptance at its deadline, and nothing else', () => {
    holds((one) => {
      const { record } = advancePending(stateOfPending(one.video, one.sends, '429'), {
        type: 'DEADLINE',
      })
      if (!isWaiting(one)) return
      expect(record).toMatchObject({ kind: 'failed', error: { code: 'timed_out' } })
      expect(JSON.stringify(record)).toContain('It waited: 429.')
    })
  })
})

it('looks up what may have been accepted before it sends', () => {
  holds((one) => {
    if (!isWaiting(one) || one.video.cancelRequested) return
    const { facts } = stateOfPending(one.video, one.sends)
    const { action, state } = advancePending(stateOfPending(one.video, one.sends), { type: 'TURN' })
    const isOpen = one.sends.some(({ answer }) => ['accepted', 'unreadable', null].includes(answer))
    if (isOpen)
      expect([facts.isToLookUp, action?.type, state.phase]).toEqual([true, 'lookUp', 'recovering'])
    if (action?.type === 'intend') expect(isOpen).toBe(false)
  })
})

it('shows that the provider has it wait once, until its acceptance', () => {
  const free: VideoFacts = {
    status: 'pending',
    phase: 'queued',
    attempt: 1,
    taskId: null,
    cancelRequested: false,
    requestedAt: new Date(0),
  }
  const waiting: VideoSignal = { type: 'WAITING', reason: '429', ms: 1_000 }
  const first = advancePending(stateOfPending(free, []), waiting)
  expect(first).toMatchObject({
    record: { kind: 'wait', event: 'progress', phase: 'throttled', reason: '429', ms: 1_000 },
    action: { type: 'tryAgain', ms: 1_000 },
  })
  expect(advancePending(first.state, waiting).record).toMatchObject({ kind: 'wait', event: null })
  const sending = advancePending(first.state, { type: 'INTENT' })
  const lost: VideoSignal = { type: 'IN_DOUBT', reason: 'lost', ms: 500 }
  expect(advancePending(sending.state, lost)).toMatchObject({
    state: { phase: 'inDoubt' },
    record: { kind: 'wait', event: null, phase: 'throttled', reason: 'lost' },
  })
  expect(advancePending(sending.state, { type: 'ACCEPTED' }).record).toMatchObject({
    phase: 'submitted',
  })
})

it('fails as unknown what the provider lost with every send', () => {
  const video: VideoFacts = {
    status: 'pending',
    phase: 'queued',
    attempt: 1,
    taskId: null,
    cancelRequested: false,
    requestedAt: new Date(0),
  }
  const sends = Array.from({ length: maxSends }, (_, i) => ({
    attempt: 1,
    send: i + 1,
    answer: 'absent',
    taskId: null,
    lookedAt: null,
  }))
  expect(advancePending(stateOfPending(video, sends), { type: 'TURN' }).record).toMatchObject({
    error: { code: 'submission_unknown' },
  })
})

it('is over at its deadline, or after a day', () => {
  const times = { cancelRequested: false, untilDeadlineMs: null, requestedMs: 0, waitReason: null }
  const after = (more: Partial<PendingTimes>) => dueSignal({ ...times, ...more }).type
  expect(after({})).toBe('TURN')
  expect(after({ untilDeadlineMs: 1 })).toBe('TURN')
  expect(after({ untilDeadlineMs: 0 })).toBe('DEADLINE')
  expect(after({ requestedMs: maxPendingMs })).toBe('DEADLINE')
  expect(after({ cancelRequested: true, untilDeadlineMs: 0 })).toBe('CANCELLED')
})
