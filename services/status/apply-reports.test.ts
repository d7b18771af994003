import { expect, it } from 'vitest'
import type { Bus, Job } from '#libs/bus/bus.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import type { Change, Report } from '#libs/scene-video/messages.ts'
import type { Fate, Outcome } from '#libs/store/reports.ts'
import { applyReports } from './apply-reports.ts'

const running: Change = {
  status: 'generating',
  phase: 'running',
  progress: 1,
  videoUrl: null,
  videoUrlExpiresAt: null,
  error: null,
}
const report = (no = 1, change: Change | null = running): Report => ({
  id: crypto.randomUUID(),
  attempt: 1,
  epoch: '1',
  no,
  change,
})

/** Delivers one message; what was recorded, stored elsewhere, and became of the message. */
async function delivered(message: unknown[], fateOf: (one: Report) => Fate = () => 'applied') {
  const recorded: Report[] = []
  const stored: { subject: string; reports: { id: string }[] }[] = []
  const became: string[] = []
  const job: Job = {
    subject: 'video.report.poller',
    sequence: 1,
    data: new TextEncoder().encode(JSON.stringify(message)),
    deliveries: 1,
    header: () => undefined,
    ack: () => became.push('ack'),
    nak: (ms) => became.push(`nak ${ms}`),
    term: () => became.push('term'),
    working: () => {},
  }
  const bus: Pick<Bus, 'store' | 'consume'> = {
    async store(subject, data) {
      const text = typeof data === 'string' ? data : new TextDecoder().decode(data)
      stored.push({ subject, reports: JSON.parse(text) as { id: string }[] })
      return 1
    },
    consume(_stream, _consumer, _max, onMessage) {
      const taken = onMessage(job)
      return { isHealthy: () => true, [Symbol.asyncDispose]: () => taken }
    },
  }
  const consuming = applyReports({
    bus: bus as Bus,
    clock: systemClock,
    log: createLogger('test', 'silent'),
    batchMs: 1,
    batchMax: 100,
    fates: { inc: () => {} },
    publish: async () => 0,
    writer: {
      commitClaims: async () => ({ grants: [], undecided: [] }),
      apply: async (reports) => {
        const fates = reports.map((one) => [one, fateOf(one)] as const)
        recorded.push(...fates.flatMap(([one, fate]) => (fate === 'applied' ? one : [])))
        return new Map(
          fates.map(([one, fate]): [string, Outcome] => [one.id, { fate, event: null }]),
        )
      },
    },
  })
  await consuming[Symbol.asyncDispose]()
  return { recorded, stored, became }
}

it('buries alone a report that does not fit, and records the others', async () => {
  const [one, other] = [report(), report()]
  const misfit = { ...report(), no: 'x' }
  const { recorded, stored, became } = await delivered([one, misfit, other, 7])
  expect(recorded).toEqual([one, other])
  expect(stored).toEqual([
    { subject: `video.dead.report.${misfit.id}`, reports: [misfit] },
    { subject: 'video.dead.report.poller', reports: [7] },
  ])
  expect(became).toEqual(['ack'])
})

it('leaves to a newer status what a newer poller said, and records the others', async () => {
  const newer = { v: 2, ...report(), change: 'of a later version' }
  const one = report()
  const first = await delivered([newer, one])
  expect(first.recorded).toEqual([one])
  expect(first.stored).toEqual([{ subject: `video.report.${newer.id}`, reports: [newer] }])
  expect(first.became).toEqual(['ack'])
  const alone = await delivered([newer])
  expect(alone).toEqual({ recorded: [], stored: [], became: ['nak 10000'] })
})

it('keeps words of a later version as they are', async () => {
  const later = {
    ...report(),
    change: {
      ...running,
      status: 'failed',
      phase: 'sleeping',
      error: { code: 'moon_phase', message: 'x' },
    },
  }
  expect((await delivered([later])).recorded).toEqual([later])
})

it('puts aside alone what meets a locked row, with what follows of that video', async () => {
  const [one, locked, other] = [report(), report(), report()]
  const next = { ...locked, no: 2 }
  const { recorded, stored, became } = await delivered([one, locked, next, other], ({ id }) =>
    id === locked.id ? 'locked' : 'applied',
  )
  expect(recorded).toEqual([one, other])
  expect(stored).toEqual([{ subject: `video.report.${locked.id}`, reports: [locked, next] }])
  expect(became).toEqual(['ack'])
})

it('tries again by a timer of its own what is put aside', async () => {
  const { recorded, stored, became } = await delivered([report()], () => 'locked')
  expect([recorded, stored, became]).toEqual([[], [], ['nak 500']])
})
