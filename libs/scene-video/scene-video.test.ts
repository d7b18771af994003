import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { transition } from 'xstate'
import { diagram } from '../../test/support/diagram.ts'
import {
  advance,
  isNoop,
  leafOf,
  phaseOf,
  resolve,
  stateOfRow,
  type VideoState,
} from './advance.ts'
import { videoMachine } from './machine.ts'
import type { VideoSignal } from './signals.ts'
import {
  adaptiveInterval,
  afterAnswer,
  afterClaim,
  afterMiss,
  afterThrottle,
} from '#services/poller/schedule.ts'
import { phases } from './scene-video.ts'

const signal: fc.Arbitrary<VideoSignal> = fc.oneof(
  fc.record({
    type: fc.constantFrom('QUEUED' as const, 'RUNNING' as const),
    progress: fc.option(fc.integer({ min: 0, max: 100 })),
  }),
  fc.constantFrom<VideoSignal>(
    { type: 'THROTTLED', retryAfterMs: null },
    { type: 'MISSED' },
    { type: 'UNKNOWN' },
    { type: 'SLOW' },
    { type: 'DEADLINE' },
    { type: 'EXPIRED' },
    { type: 'CANCELLED' },
    { type: 'IN_DOUBT', reason: 'lost', ms: 500 },
    { type: 'CANCEL' },
    { type: 'TURN' },
    { type: 'WAITING', reason: '429', ms: 500 },
    { type: 'ACCEPTED' },
  ),
  fc.constant<VideoSignal>({
    type: 'DONE',
    videoUrl: 'https://example.com/v.mp4',
    videoUrlExpiresAt: null,
  }),
  fc.constant<VideoSignal>({ type: 'UNUSABLE', error: { code: 'no_result', message: 'no' } }),
  fc.constant<VideoSignal>({ type: 'FAILED', error: { code: 'provider_failed', message: 'no' } }),
)
const submitted = stateOfRow({ status: 'pending', phase: 'submitted', progress: null })
const rank = { pending: 0, generating: 1, completed: 2, failed: 2 }
const after = (signals: VideoSignal[]): VideoState =>
  signals.reduce((standing, one) => advance(standing, one).state, submitted)

const shownDiagram = /```mermaid\n([\s\S]*?)\n```/.exec(
  readFileSync('docs/architecture.md', 'utf8'),
)?.[1]

describe('the statechart of a video', () => {
  it('only moves forward, and never out of its end', () => {
    fc.assert(
      fc.property(fc.array(signal, { maxLength: 30 }), (signals) => {
        let standing = submitted
        for (const one of signals) {
          const next = advance(standing, one)
          expect(rank[next.state.status]).toBeGreaterThanOrEqual(rank[standing.status])
          if (rank[standing.status] === 2)
            expect(next).toEqual({ state: standing, changes: [], actions: [] })
          standing = next.state
        }
      }),
    )
  })

  it('tells a change exactly when what is recorded changes', () => {
    fc.assert(
      fc.property(fc.array(signal, { maxLength: 20 }), signal, (signals, next) => {
        const before = after(signals)
        const { state, changes, actions } = advance(before, next)
        const differs =
          state.status !== before.status ||
          phaseOf(state) !== phaseOf(before) ||
          state.progress !== before.progress
        expect(changes.length > 0).toBe(differs && state.status !== 'pending')
        expect(actions.some(({ type }) => type === 'release')).toBe(
          rank[state.status] === 2 && rank[before.status] < 2,
        )
        if (changes.length)
          expect(changes.at(-1)).toMatchObject({
            status: state.status,
            phase: phaseOf(state),
            progress: state.progress,
          })
      }),
    )
  })

  it('need not be woken for a signal that says nothing new', () => {
    const repeated = fc.record({
      type: fc.constantFrom('QUEUED' as const, 'RUNNING' as const),
      progress: fc.constantFrom(null, 5),
    })
    const words = fc.oneof({ weight: 1, arbitrary: signal }, { weight: 9, arbitrary: repeated })
    let spared = 0
    fc.assert(
      fc.property(fc.array(words, { maxLength: 5 }), words, fc.boolean(), (signals, next, slow) => {
        const reached = after(signals)
        const before = { ...reached, slow: slow || reached.phase === 'overdue' }
        if (!isNoop(before, next)) return
        spared++
        const { state, changes, actions } = advance(before, next)
        expect(changes).toEqual([])
        expect(actions).toEqual([{ type: 'askAgain' }])
        expect(state).toEqual(before)
      }),
      { numRuns: 1_000 },
    )
    expect(spared).toBeGreaterThan(10)
  })

  it('is the one docs/architecture.md shows', () => {
    expect(shownDiagram).toBe(diagram())
  })
})

it('takes the same step whatever it has taken before', () => {
  const working = { type: fc.constantFrom('QUEUED' as const, 'RUNNING' as const) }
  const progress = fc.option(fc.integer({ min: 0, max: 100 }))
  fc.assert(
    fc.property(
      fc.array(signal, { maxLength: 20 }),
      fc.record({ ...working, progress }),
      (signals, next) => {
        const before = after(signals)
        const [snapshot] = transition(videoMachine, resolve(before), next)
        const { progress, slow, misses, unusable } = snapshot.context
        const { state } = advance(before, next)
        if (rank[before.status] < 2)
          expect(state).toEqual({ ...leafOf(snapshot), progress, slow, misses, unusable })
      },
    ),
    { numRuns: 1_000 },
  )
})

it('shows a cancel before it ends by it', () => {
  const asked = advance(after([{ type: 'RUNNING', progress: 10 }]), { type: 'CANCEL' })
  expect(asked.changes).toMatchObject([{ status: 'generating', phase: 'cancelling' }])
  expect(asked.actions).toEqual([{ type: 'cancelAtProvider' }])
  expect(advance(asked.state, { type: 'CANCELLED' })).toMatchObject({
    changes: [{ status: 'failed', error: { code: 'cancelled' } }],
    actions: [{ type: 'release' }],
  })
})

it('calls a slow video overdue, not failed, and keeps telling its progress', () => {
  const running = after([{ type: 'RUNNING', progress: 10 }])
  const slow = advance(running, { type: 'SLOW' })
  expect(slow.changes[0]).toMatchObject({ status: 'generating', phase: 'overdue' })
  const on = advance(slow.state, { type: 'RUNNING', progress: 20 })
  expect(on.changes[0]).toMatchObject({ phase: 'overdue', progress: 20 })
  expect(
    advance(on.state, {
      type: 'DONE',
      videoUrl: 'https://example.com/v.mp4',
      videoUrlExpiresAt: null,
    }).changes[0],
  ).toMatchObject({ status: 'completed', progress: 100 })
})

describe('the poll schedule', () => {
  it('never asks earlier than it was told to wait, nor later than the ceiling allows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 60_000 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.integer({ min: 1, max: 1_000 }),
        (interval, random, n) => {
          expect(afterThrottle(interval, n * 10, random)).toBeGreaterThanOrEqual(n * 10)
          expect(afterMiss(interval, n, random)).toBeLessThanOrEqual(66_000)
          expect(Math.abs(afterAnswer(interval, random) - interval)).toBeLessThanOrEqual(
            interval * 0.1 + 1,
          )
          expect(afterClaim(interval, n * 100, random)).toBeLessThanOrEqual(interval)
          expect(afterClaim(interval, 10, random)).toBeLessThanOrEqual(500)
        },
      ),
    )
  })

  it('adapts between half and three times the interval: never sooner for what is further from its end', () => {
    const outlook = fc.record({
      phase: fc.constantFrom(...phases),
      progress: fc.option(fc.integer({ min: 0, max: 100 })),
      elapsed: fc.integer({ min: -1_000, max: 86_400_000 }),
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 60_000 }),
        outlook,
        fc.integer({ min: 0, max: 100 }),
        (interval, one, less) => {
          const next = adaptiveInterval(interval, one)
          expect(next).toBeGreaterThanOrEqual(interval / 2)
          expect(next).toBeLessThanOrEqual(interval * 3)
          if (one.progress && one.elapsed > 0 && less > 0 && less <= one.progress)
            expect(adaptiveInterval(interval, { ...one, progress: less })).toBeGreaterThanOrEqual(
              next,
            )
        },
      ),
    )
  })

  it('spreads what is claimed together over the interval, evenly', () => {
    const slots = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < 10_000; i++)
      slots[Math.floor(afterClaim(5_000, 10_000, i / 10_000) / 500)]!++
    for (const count of slots) expect(count).toBe(1_000)
  })
})
