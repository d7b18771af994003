import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diagram } from './diagram.ts'
import { actorAt, advance, statusAndPhase, type VideoSignal } from './machine.ts'
import { afterAnswer, afterClaim, afterMiss, afterThrottle } from './poll-schedule.ts'

const signal: fc.Arbitrary<VideoSignal> = fc.oneof(
  fc.record({ type: fc.constantFrom('QUEUED' as const, 'RUNNING' as const), progress: fc.option(fc.integer({ min: 0, max: 100 })) }),
  fc.constantFrom<VideoSignal>({ type: 'THROTTLED' }, { type: 'MISSED' }, { type: 'SLOW' }, { type: 'CANCEL' }, { type: 'WAITING' }, { type: 'ACCEPTED' }),
  fc.constant<VideoSignal>({ type: 'DONE', videoUrl: 'https://example.com/v.mp4', videoUrlExpiresAt: null }),
  fc.constant<VideoSignal>({ type: 'FAILED', error: { code: 'provider_failed', message: 'no' } }),
)
const submitted = () => actorAt({ status: 'pending', phase: 'submitted', progress: null, slow: false })
const rank = { pending: 0, generating: 1, completed: 2, failed: 2 }

describe('the statechart of a video', () => {
  it('only moves forward, and never out of its end', () => {
    fc.assert(fc.property(fc.array(signal, { maxLength: 30 }), (signals) => {
      const actor = submitted()
      for (const one of signals) {
        const before = statusAndPhase(actor.getSnapshot())
        const change = advance(actor, one)
        const after = statusAndPhase(actor.getSnapshot())
        expect(rank[after.status]).toBeGreaterThanOrEqual(rank[before.status])
        if (rank[before.status] === 2) expect(change).toBeNull()
        if (rank[before.status] === 2) expect(after).toEqual(before)
      }
    }))
  })

  it('stands, made from a row, where that row stands', () => {
    fc.assert(fc.property(fc.array(signal, { maxLength: 20 }), signal, (signals, next) => {
      const actor = submitted()
      for (const one of signals) advance(actor, one)
      const snapshot = actor.getSnapshot()
      if (snapshot.status === 'done') return
      const again = actorAt({ ...statusAndPhase(snapshot), progress: snapshot.context.progress, slow: snapshot.context.slow })
      expect(advance(again, next)).toEqual(advance(actor, next))
    }))
  })

  it('calls a slow video overdue, not failed, and keeps telling its progress', () => {
    const actor = submitted()
    advance(actor, { type: 'RUNNING', progress: 10 })
    expect(advance(actor, { type: 'SLOW' })).toMatchObject({ status: 'generating', phase: 'overdue' })
    expect(advance(actor, { type: 'RUNNING', progress: 20 })).toMatchObject({ phase: 'overdue', progress: 20 })
    expect(advance(actor, { type: 'DONE', videoUrl: 'https://example.com/v.mp4', videoUrlExpiresAt: null })).toMatchObject({ status: 'completed', progress: 100 })
  })

  it('is the one the README shows', () => {
    expect(readFileSync('README.md', 'utf8')).toContain(`\`\`\`mermaid\n${diagram()}\n\`\`\``)
  })
})

describe('the poll schedule', () => {
  it('never asks earlier than it was told to wait, nor later than the ceiling allows', () => {
    fc.assert(fc.property(fc.integer({ min: 10, max: 60_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), fc.integer({ min: 1, max: 1_000 }), (interval, random, n) => {
      expect(afterThrottle(interval, n * 10, random)).toBeGreaterThanOrEqual(n * 10)
      expect(afterMiss(interval, n, random)).toBeLessThanOrEqual(66_000)
      expect(Math.abs(afterAnswer(interval, random) - interval)).toBeLessThanOrEqual(interval * 0.1 + 1)
      expect(afterClaim(interval, random)).toBeLessThanOrEqual(Math.min(interval, 1_000))
    }))
  })
})
