import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diagram } from '../../test/support/diagram.ts'
import { advance, isNoop, type VideoState, type VideoSignal } from './machine.ts'
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
    { type: 'THROTTLED' },
    { type: 'MISSED' },
    { type: 'SLOW' },
    { type: 'CANCEL' },
    { type: 'WAITING' },
    { type: 'ACCEPTED' },
  ),
  fc.constant<VideoSignal>({
    type: 'DONE',
    videoUrl: 'https://example.com/v.mp4',
    videoUrlExpiresAt: null,
  }),
  fc.constant<VideoSignal>({ type: 'FAILED', error: { code: 'provider_failed', message: 'no' } }),
)
const submitted: VideoState = { status: 'pending', phase: 'submitted', progress: null, slow: false }
const rank = { pending: 0, generating: 1, completed: 2, failed: 2 }
const after = (signals: VideoSignal[]): VideoState =>
  signals.reduce((standing, one) => advance(standing, one).standing, submitted)

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
          expect(rank[next.standing.status]).toBeGreaterThanOrEqual(rank[standing.status])
          if (rank[standing.status] === 2) expect(next).toEqual({ standing, change: null })
          standing = next.standing
        }
      }),
    )
  })

  it('tells a change exactly when what is recorded changes', () => {
    fc.assert(
      fc.property(fc.array(signal, { maxLength: 20 }), signal, (signals, next) => {
        const before = after(signals)
        const { standing, change } = advance(before, next)
        const differs =
          standing.status !== before.status ||
          standing.phase !== before.phase ||
          standing.progress !== before.progress
        expect(change !== null).toBe(differs && standing.status !== 'pending')
        if (change)
          expect(change).toMatchObject({
            status: standing.status,
            phase: standing.phase,
            progress: standing.progress,
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
        const before = { ...after(signals), slow }
        if (!isNoop(before, next)) return
        spared++
        const { standing, change } = advance(before, next)
        expect(change).toBeNull()
        expect(standing).toEqual({ ...before, slow: slow || before.phase === 'overdue' })
      }),
      { numRuns: 1_000 },
    )
    expect(spared).toBeGreaterThan(10)
  })

  it('calls a slow video overdue, not failed, and keeps telling its progress', () => {
    const running = after([{ type: 'RUNNING', progress: 10 }])
    const slow = advance(running, { type: 'SLOW' })
    expect(slow.change).toMatchObject({ status: 'generating', phase: 'overdue' })
    const on = advance(slow.standing, { type: 'RUNNING', progress: 20 })
    expect(on.change).toMatchObject({ phase: 'overdue', progress: 20 })
    expect(
      advance(on.standing, {
        type: 'DONE',
        videoUrl: 'https://example.com/v.mp4',
        videoUrlExpiresAt: null,
      }).change,
    ).toMatchObject({ status: 'completed', progress: 100 })
  })

  it('is the one docs/architecture.md shows', () => {
    expect(shownDiagram).toBe(diagram())
  })
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
