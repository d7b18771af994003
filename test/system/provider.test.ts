/**
 * The provider's side, as docs/provider.md has it: every situation on the running system, judged by
 * the ledger, the timeline and the metrics.
 */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import { System, until } from '../support/system.ts'

const calm = {
  minSeconds: 1,
  maxSeconds: 1.5,
  tier: 'off',
  lookupLagMs: 0,
  createdDelayMs: 0,
  finishedMissingMs: 0,
  resultLifeSeconds: 86_400,
  retryAfterSeconds: 1,
  retryAfterAsDate: false,
  webhookUrl: null,
  faults: {
    acceptThenTimeout: 0,
    acceptThenReset: 0,
    status500: 0,
    status503: 0,
    status429: 0,
    unknownStatus: 0,
    malformed: 0,
    slowBody: 0,
    status401: 0,
    vanish: 0,
    nullByte: 0,
  },
}
const timing = {
  POLL_INTERVAL_MS: '400',
  RECONCILE_INTERVAL_MS: '2000',
  CREATE_TIMEOUT_MS: '1200',
  SEND_WINDOW_MS: '1000',
  LOOKUP_WINDOW_MS: '5000',
}

interface Entry {
  kind: string
  attempt: number
  phase: string
  detail: Record<string, string> | null
}

/** What the cases ask of a system. */
function asking(system: System) {
  const ask = {
    async submit(body: object = {}): Promise<string> {
      const { status, body: video } = await system.api('POST', system.generatePath(), body)
      expect(status).toBe(202)
      return String(video['id'])
    },
    command: async (id: string, verb: 'cancel' | 'retry') =>
      (await system.api('POST', `/api/scene-videos/${id}/${verb}`, {})).status,
    is: (id: string, what: string, fits: (video: SceneVideo) => boolean) =>
      until(
        `${id} to be ${what}`,
        async () => {
          const video = await system.video(id)
          return fits(video) ? video : undefined
        },
        30_000,
      ),
    ended: (id: string) =>
      ask.is(id, 'ended', ({ status }) => status === 'completed' || status === 'failed'),
    creates: async (id: string) =>
      (await system.ledger())
        .filter((row) => row.client_business_id.startsWith(id))
        .map((row) => row.client_business_id.slice(id.length + 1)),
    charged: (id: string) =>
      until(`${id} to be charged`, async () => (await ask.creates(id)).length > 0 || undefined),
    timeline: async (id: string) =>
      (await system.api('GET', `/api/scene-videos/${id}/timeline`)).body['data'] as Entry[],
    lateResult: (id: string) =>
      until(
        `${id}'s late result`,
        async () => (await ask.timeline(id)).find((entry) => entry.kind === 'late'),
        40_000,
      ),
    async query(sql: string, values: unknown[]): Promise<Record<string, unknown>[]> {
      const client = new pg.Client(system.internal.databaseUrl)
      await client.connect()
      return client
        .query<Record<string, unknown>>(sql, values)
        .then(({ rows }) => rows)
        .finally(() => client.end())
    },
    /** A counter of all processes of this kind together. */
    async metric(service: string, line: string): Promise<number> {
      const ports = [
        ...new Map(
          [
            ...system.output.matchAll(
              new RegExp(`info +(${service}\\S*) \\S+ started .*?healthPort=(\\d+)`, 'g'),
            ),
          ].map((match) => [match[1], match[2]]),
        ).values(),
      ]
      expect(ports.length).toBeGreaterThan(0)
      const texts = await Promise.all(
        ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
      )
      return texts.reduce(
        (sum, text) =>
          sum +
          Number(
            text
              .split('\n')
              .find((one) => one.startsWith(`reelkeeper_${line} `))
              ?.split(' ')
              .at(-1) ?? 0,
          ),
        0,
      )
    },
  }
  return ask
}

describe('a provider that misbehaves', () => {
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

  beforeAll(() => system.start())
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
        (await timeline(id)).filter(
          (entry) => entry.kind === 'completed' || entry.kind === 'failed',
        ),
      ).toHaveLength(1)
      if (video.status === 'completed') continue
      expect(video.error?.code).toBe('cancelled')
      expect(await command(id, 'retry')).toBe(202)
      expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
    }
    for (const id of ids) expect(await creates(id)).toEqual(['1'])
  })

  it('tells by webhook before the create is recorded, or never, or is somebody else, or says it again: only ever a hint', async () => {
    const told: { headers: IncomingHttpHeaders; body: string; status: number; pending: boolean }[] =
      []
    const forward = async (headers: IncomingHttpHeaders, body: string) => {
      const named = Object.fromEntries(
        Object.entries(headers).filter(
          ([name]) => name.startsWith('x-') || name === 'content-type',
        ),
      ) as Record<string, string>
      return (
        await fetch(`${system.dev.gatewayUrl}/webhooks/toapis`, {
          method: 'POST',
          headers: named,
          body,
        })
      ).status
    }
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
      const video = await ended(early)
      expect(video).toMatchObject({ status: 'completed' })
      expect(await creates(early)).toEqual(['1'])

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
      expect((await system.video(early)).version).toBe(video.version)

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
})

describe('a provider that cannot look up by own id', () => {
  const system = new System({ ...timing, TOAPIS_FIND_BY_OWN_ID: 'false' })
  const { submit, command, ended, creates, charged, metric } = asking(system)
  beforeAll(async () => {
    await system.start(['--pollers', '1'])
    await system.simulate(calm)
  })
  afterAll(() => system[Symbol.asyncDispose]())

  it('loses the answer to a create: failed with submission_unknown, never sent again but by a person’s retry', async () => {
    await system.simulate({ faults: { acceptThenReset: 1 } })
    const id = await submit()
    await charged(id)
    await system.simulate(calm)
    expect(await ended(id)).toMatchObject({
      status: 'failed',
      error: { code: 'submission_unknown' },
    })
    expect(await creates(id)).toEqual(['1'])
    expect(await metric('submit', 'lookups_total{answer="missing"}')).toBe(0)
    expect(await command(id, 'retry')).toBe(202)
    expect(await ended(id)).toMatchObject({ status: 'completed', attempt: 2 })
    expect(await creates(id)).toEqual(['1', '2'])
  })
})
