/**
 * A provider that misbehaves around the end of a video: late, twice, by webhook, or not at all.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { System, until } from '../support/system.ts'
import { startWithoutCircuit } from '../support/circuits.ts'
import { asking, calm, timing } from '../support/misbehaving-kit.ts'

const system = new System(timing)
const ask = asking(system)
const { submit, command, is, ended, creates, charged, timeline, lateResult, metric } = ask
const secret = (name: string) =>
  (
    JSON.parse(readFileSync(join(system.dir, '.reelkeeper/secrets.json'), 'utf8')) as Record<
      string,
      string
    >
  )[name]!

beforeAll(() => startWithoutCircuit(system))
afterAll(() => system[Symbol.asyncDispose]())
beforeEach(() => system.simulate(calm))

it('completes after the caller’s deadline: noted with its link, counted, and taken by a retry; a failure is noted and paid anew', async () => {
  await system.simulate({ minSeconds: 3.5, maxSeconds: 3.5 })
  const [late, failing] = await Promise.all([
    submit({ deadlineSeconds: 2 }),
    submit({ prompt: '[fail]' }),
  ])
  await is(failing, 'polled', (video) => video.status === 'generating')
  expect(await command(failing, 'cancel')).toBe(202)
  expect(await ended(late)).toMatchObject({ status: 'failed', error: { code: 'timed_out' } })
  expect(await ended(failing)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  expect((await lateResult(late)).detail).toMatchObject({
    said: 'completed',
    videoUrl: expect.stringContaining('/files/'),
  })
  expect((await lateResult(failing)).detail).toMatchObject({ said: 'failed' })
  expect(await metric('submit', 'late_results_total{said="completed"}')).toBeGreaterThan(0)
  await system.simulate(calm)
  expect([await command(late, 'retry'), await command(failing, 'retry')]).toEqual([202, 202])
  expect(await ended(late)).toMatchObject({ status: 'completed', attempt: 2 })
  expect(await creates(late)).toEqual(['1'])
  await ended(failing)
  expect((await creates(failing)).toSorted()).toEqual(['1', '2'])
})

it('is cancelled, or its deadline passes, while a send is in doubt: ended at once, the send is watched, a retry takes it', async () => {
  await system.simulate({ lookupLagMs: 3_600_000, faults: { acceptThenReset: 1 } })
  const [cancelled, late] = await Promise.all([submit(), submit({ deadlineSeconds: 2 })])
  await Promise.all([charged(cancelled), charged(late)])
  expect(await command(cancelled, 'cancel')).toBe(202)
  expect(await ended(cancelled)).toMatchObject({
    status: 'failed',
    error: { code: 'cancelled' },
    taskId: null,
  })
  expect(await ended(late)).toMatchObject({
    status: 'failed',
    error: { code: 'timed_out' },
    taskId: null,
  })
  await system.simulate(calm)
  expect(await command(late, 'retry')).toBe(202)
  expect((await lateResult(cancelled)).detail).toMatchObject({ said: 'completed' })
  expect(await command(cancelled, 'retry')).toBe(202)
  for (const id of [cancelled, late]) {
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
    expect(await creates(id)).toEqual(['1'])
  }
})

it('completes while it is cancelled: one end, and whichever it was, a retry pays nothing', async () => {
  const ids = await Promise.all(Array.from({ length: 8 }, () => submit()))
  await Promise.all(
    ids.map(async (id, i) => {
      await is(
        id,
        'polled',
        (video) => video.status !== 'pending' && (video.progress ?? 0) >= i * 12,
      )
      expect([202, 409]).toContain(await command(id, 'cancel'))
    }),
  )
  for (const id of ids) {
    const video = await ended(id)
    expect(
      (await timeline(id)).filter((entry) => entry.kind === 'completed' || entry.kind === 'failed'),
    ).toHaveLength(1)
    if (video.status === 'completed') continue
    expect(video.error?.code).toBe('cancelled')
    expect(await command(id, 'retry')).toBe(202)
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
  }
  for (const id of ids) expect(await creates(id)).toEqual(['1'])
})

/** Delivers a webhook of the provider to the gateway; what it answers. */
const forward = async (headers: IncomingHttpHeaders, body: string) => {
  const named = Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('x-') || name === 'content-type'),
  ) as Record<string, string>
  return (
    await fetch(`${system.dev.gatewayUrl}/webhooks/toapis`, {
      method: 'POST',
      headers: named,
      body,
    })
  ).status
}

it('tells by webhook before the create is recorded, or never, or is somebody else, or says it again: only ever a hint', async () => {
  const told: { headers: IncomingHttpHeaders; body: string; status: number; pending: boolean }[] =
    []
  let lose = false
  const relay = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', async () => {
      if (lose) return response.writeHead(500).end()
      const { data } = JSON.parse(body) as { data: { client_business_id: string } }
      const pending = (await system.video(data.client_business_id.slice(0, 36))).taskId === null
      const status = await forward(request.headers, body)
      told.push({ headers: request.headers, body, status, pending })
      return response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  try {
    const webhookUrl = `http://127.0.0.1:${(relay.address() as AddressInfo).port}/`
    await system.simulate({
      webhookUrl,
      webhookSecret: secret('webhookSecret'),
      minSeconds: 0,
      maxSeconds: 0,
      createdDelayMs: 5_000,
      lookupLagMs: 3_000,
    })
    const early = await submit()
    const hint = await until('its webhook', () => told.find((one) => one.body.includes(early)))
    expect([hint.status, hint.pending]).toEqual([204, true])
    expect(await ended(early)).toMatchObject({ status: 'completed' })
    expect(await creates(early)).toEqual(['1'])
    const { version } = await is(early, 'kept', (video) => video.phase === 'stored')

    expect(await forward(hint.headers, hint.body.replace('completed', 'failed'))).toBe(401)
    expect(
      await forward({ ...hint.headers, 'x-toapis-webhook-signature': 'v1=00' }, hint.body),
    ).toBe(401)
    expect(
      await forward(
        {
          ...hint.headers,
          'x-toapis-webhook-timestamp': String(
            Number(hint.headers['x-toapis-webhook-timestamp']) - 3_600,
          ),
        },
        hint.body,
      ),
    ).toBe(401)
    expect(await forward(hint.headers, hint.body)).toBe(204)
    expect((await system.video(early)).version).toBe(version)

    lose = true
    await system.simulate({ createdDelayMs: 0, lookupLagMs: 0 })
    const silent = await submit()
    expect(await ended(silent)).toMatchObject({ status: 'completed' })
    expect(told.some((one) => one.body.includes(silent))).toBe(false)
  } finally {
    relay.closeAllConnections()
    relay.close()
  }
})

it('lets a result’s link expire before anybody took it: a retry pays anew', async () => {
  await system.simulate({ minSeconds: 4, maxSeconds: 4, resultLifeSeconds: 2 })
  const id = await submit()
  await is(id, 'polled', (video) => video.status === 'generating')
  expect(await command(id, 'cancel')).toBe(202)
  expect(await ended(id)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  const task = (await system.ledger()).find((row) => row.client_business_id === `${id}-1`)!
  await until(
    'the link to expire',
    async () =>
      (await fetch(`${system.dev.simulatorUrl}/files/${task.task_id}.mp4`)).status === 410 ||
      undefined,
  )
  expect(await command(id, 'retry')).toBe(202)
  expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
  expect(await creates(id)).toEqual(['1', '2'])
})

it('has two tasks under one own id: one is taken, the other never asked for by us', async () => {
  await system.simulate({ lookupLagMs: 3_600_000, faults: { acceptThenReset: 1 } })
  const id = await submit()
  await charged(id)
  await system.simulate({ faults: { acceptThenReset: 0 } })
  const answer = await fetch(`${system.dev.simulatorUrl}/v1/videos/generations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret('providerKey')}` },
    body: JSON.stringify({ model: 'm', prompt: 'p', client_business_id: `${id}-1` }),
  })
  expect(answer.status).toBe(200)
  await system.simulate(calm)
  const video = await ended(id)
  expect(video).toMatchObject({ status: 'completed', attempt: 1 })
  expect(await creates(id)).toEqual(['1', '1'])
  expect(
    (await system.ledger())
      .filter((row) => row.client_business_id === `${id}-1`)
      .map((row) => row.task_id),
  ).toContain(video.taskId)
  expect(
    (await metric('submit', 'lookups_total{answer="done"}')) +
      (await metric('submit', 'lookups_total{answer="working"}')),
  ).toBeGreaterThan(0)
})

it('says what Postgres would refuse: told without it', async () => {
  await system.simulate({ faults: { nullByte: 1 } })
  const id = await submit({ prompt: '[fail]' })
  expect(await ended(id)).toMatchObject({ status: 'failed', error: { code: 'provider_failed' } })
})

it('has us wait for a day: deadline and cancel wait for nobody', async () => {
  await system.simulate({ minSeconds: 60, maxSeconds: 60 })
  const [polled, cancelled] = await Promise.all([submit({ deadlineSeconds: 5 }), submit()])
  for (const id of [polled, cancelled])
    await is(id, 'polled', (video) => video.status === 'generating')
  await system.simulate({ retryAfterSeconds: 86_400, faults: { status429: 1 } })
  const pending = await submit({ deadlineSeconds: 3 })
  for (const id of [cancelled, pending])
    await is(id, 'throttled', (video) => video.phase === 'throttled')
  expect(await command(cancelled, 'cancel')).toBe(202)
  expect(await ended(cancelled)).toMatchObject({ status: 'failed', error: { code: 'cancelled' } })
  expect(await ended(pending)).toMatchObject({ status: 'failed', error: { code: 'timed_out' } })
  expect(await ended(polled)).toMatchObject({ status: 'failed', error: { code: 'timed_out' } })
  expect(await creates(pending)).toEqual([])
})
