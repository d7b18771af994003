/**
 * A provider that misbehaves at creates and polls, as docs/provider.md has it: on the running
 * system, judged by the ledger, the timeline and the metrics.
 */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'
import { startWithoutCircuit } from '../support/circuits.ts'
import { asking, calm, timing } from '../support/misbehaving-kit.ts'

const system = new System(timing)
const ask = asking(system)
const { submit, is, ended, creates, charged, timeline, metric } = ask

beforeAll(() => startWithoutCircuit(system))
afterAll(() => system[Symbol.asyncDispose]())
beforeEach(() => system.simulate(calm))

it('accepts and then times out, hangs up, answers unreadably or an error: found by own id, however the look-up lags', async () => {
  const ids: string[] = []
  for (const fault of ['acceptThenTimeout', 'acceptThenReset', 'malformed']) {
    await system.simulate({ lookupLagMs: 2_000, faults: { ...calm.faults, [fault]: 1 } })
    const id = await submit()
    await charged(id)
    ids.push(id)
  }
  await system.simulate({ ...calm, lookupLagMs: 2_000, createdDelayMs: 2_000 })
  const slow = await submit()
  await charged(slow)
  await system.simulate({ lookupLagMs: 2_000, createdDelayMs: 0 })
  for (const id of [...ids, slow]) {
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 1 })
    expect(await creates(id)).toEqual(['1'])
    expect((await timeline(id)).find((entry) => entry.kind === 'submitted')?.detail).toEqual({
      how: 'lookup',
    })
  }
  expect(await metric('submit', 'creates_total{answer="unknown"}')).toBeGreaterThanOrEqual(3)
  expect(await metric('submit', 'lookups_total{answer="missing"}')).toBeGreaterThan(0)
})

it('answers 503 for long, then 429 with a date: one row and one progress event per attempt, and one create in the end', async () => {
  await system.simulate({ retryAfterSeconds: 0, faults: { status503: 1 } })
  const ids = await Promise.all([submit(), submit(), submit()])
  await until(
    'many sends',
    async () => (await metric('submit', 'creates_total{answer="later"}')) > 8 || undefined,
  )
  await system.simulate({
    retryAfterSeconds: 1,
    retryAfterAsDate: true,
    faults: { status503: 0, status429: 1, nullByte: 1 },
  })
  await until(
    'more sends',
    async () => (await metric('submit', 'creates_total{answer="later"}')) > 12 || undefined,
  )
  const rows = await ask.query(
    'SELECT "videoId", count(*)::int AS rows, max(send) AS sends FROM "Submission" WHERE "videoId" = ANY($1) GROUP BY 1',
    [ids],
  )
  expect(rows.map((row) => row['rows'])).toEqual([1, 1, 1])
  expect(Math.max(...rows.map((row) => Number(row['sends'])))).toBeGreaterThan(2)
  await system.simulate(calm)
  for (const id of ids) {
    expect(await ended(id)).toMatchObject({ status: 'completed' })
    expect(await creates(id)).toEqual(['1'])
    expect((await timeline(id)).filter((entry) => entry.phase === 'throttled').length).toBe(1)
  }
})

it('asks to wait, refuses the key, or does not know the task while it is polled: throttled or retrying, and on', async () => {
  await system.simulate({ minSeconds: 4, maxSeconds: 4 })
  const ids = await Promise.all([submit(), submit()])
  for (const id of ids) await is(id, 'polled', (video) => video.status === 'generating')
  await system.simulate({ faults: { status429: 1 } })
  for (const id of ids) await is(id, 'throttled', (video) => video.phase === 'throttled')
  await system.simulate({ faults: { status429: 0, status401: 1 } })
  for (const id of ids) await is(id, 'retrying', (video) => video.phase === 'retrying')
  await system.simulate({ finishedMissingMs: 2_000, faults: { status401: 0 } })
  for (const id of ids) expect(await ended(id)).toMatchObject({ status: 'completed' })
  expect(await metric('poller', 'polls_total{answer="missing"}')).toBeGreaterThan(0)
  expect(await metric('poller', 'polls_total{answer="none"}')).toBeGreaterThan(0)
})

it('does not take a refused key at a look-up for absence, however long', async () => {
  await system.simulate({ faults: { acceptThenReset: 1 } })
  const id = await submit()
  await charged(id)
  await system.simulate({ faults: { acceptThenReset: 0, status401: 1 } })
  await until('the window to pass', async () => {
    const [row] = await ask.query(
      'SELECT answer, now() - "intentAt" > interval \'6500 milliseconds\' AS over FROM "Submission" WHERE "videoId" = $1',
      [id],
    )
    expect(row?.['answer']).toBeNull()
    return row?.['over'] === true || undefined
  })
  await system.simulate(calm)
  expect(await ended(id)).toMatchObject({ status: 'completed' })
  expect(await creates(id)).toEqual(['1'])
})

it('speaks in unknown words: counted, logged with the body, polled on to the end or the deadline', async () => {
  const [id, late] = await Promise.all([
    submit({ prompt: '[unknown]' }),
    submit({ prompt: '[unknown] [slow]', deadlineSeconds: 2 }),
  ])
  expect(await ended(late)).toMatchObject({ status: 'failed', error: { code: 'timed_out' } })
  expect(await ended(id)).toMatchObject({ status: 'completed' })
  expect(await metric('poller', 'polls_total{answer="unknown"}')).toBeGreaterThan(0)
  expect(system.output).toContain('reticulating')
})
