/**
 * The simulation's broker and store behave as the real ones: the same random operations on both,
 * with the same answers.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AlreadyQueued, Conflict, type Bus, type Job } from '#libs/bus/bus.ts'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { openDatabase, type Database, type InterfaceOf } from '#libs/store/connect.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { migrate } from '#libs/store/migrate.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import { pause } from '../support/system.ts'
import { Broker } from './memory-broker.ts'
import { memoryBus } from './memory-bus.ts'
import { MemoryStore } from './memory-store.ts'
import { Process, World } from './world.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e9))
const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-conformance-'))
chmodSync(dir, 0o755)
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** Answers of both sides in words that can be compared. */
async function said(run: () => Promise<unknown>): Promise<unknown> {
  try {
    return await run()
  } catch (err) {
    if (err instanceof Conflict || err instanceof AlreadyQueued) return err.name
    if (err instanceof Refused) return err.code
    throw err
  }
}

describe(`the broker in memory, seed ${seed}`, () => {
  const world = new World(seed)
  const broker = new Broker(world)
  const memory = memoryBus(new Process(world, 'test'), broker, { loss: 0, slow: 0, longest: 0 })
  let server: LocalServer
  let real: NatsBus

  /** Lets the world run until the answer is there. */
  const inWorld = async <T>(answer: Promise<T>): Promise<T> => {
    let settled = false
    const done = answer.finally(() => (settled = true)).catch(() => {})
    while (!settled && (await world.step()));
    await done
    return answer
  }

  beforeAll(async () => {
    server = await startNats({ dir: join(dir, 'nats') })
    real = await connectBus({
      config: { NATS_URL: server.url },
      name: 'test',
      log: createLogger('test', 'silent'),
    })
    await ensureTopology(real, { eventDays: 7, replicas: 1 }, async () => 2)
    broker.ensure(() => 2)
  })
  afterAll(async () => {
    await real?.drain()
    await server?.stop()
  })

  it('stores, refuses and finds as nats-server does', async () => {
    const keys = ['owner.a', 'owner.b', 'session.x', 'session.y'].map(
      (key) => `$KV.OWNERSHIP.${key}`,
    )
    const out = ['requested', 'submitted', 'progress'].flatMap((event) =>
      ['p', 'q'].map((id) => `video.out.${event}.${id}`),
    )
    const work = ['submit', 'poll'].flatMap((kind) =>
      ['m', 'n', 'o'].map((id) => `video.work.${kind}.${id}`),
    )
    const known: number[] = [0]
    const one = (
      bus: Bus,
      operation: number,
      choice: { subject: string; expect?: number; wildcard: boolean; purge: boolean; text: string },
    ) =>
      said(async () => {
        const { subject, expect: sequence, wildcard, purge, text } = choice
        const found = (message: { subject: string; sequence: number; data: Uint8Array } | null) =>
          message && [message.subject, message.sequence, Buffer.from(message.data).toString()]
        if (operation === 0)
          return found(
            await bus.newest(
              subject.startsWith('$KV') ? streams.ownership : streams.outbox,
              subject.startsWith('$KV') ? subject : `video.out.*.${subject.at(-1)}`,
            ),
          )
        if (operation === 1)
          return (await bus.newestOfEach(streams.ownership, '$KV.OWNERSHIP.owner.*'))
            .map((message) => JSON.stringify(found(message)))
            .toSorted()
        const expectation =
          sequence === undefined
            ? {}
            : {
                expect: {
                  sequence,
                  ...(wildcard ? { subject: `video.out.*.${subject.at(-1)}` } : {}),
                },
              }
        const headers: Record<string, string> = purge
          ? { 'KV-Operation': 'PURGE', 'Nats-Rollup': 'sub' }
          : {}
        return bus.store(subject, purge ? '' : text, { headers, ...expectation })
      })
    for (let i = 0; i < 1_000; i++) {
      const subject = world.pick([...keys, ...keys, ...out, ...work])
      const isKey = subject.startsWith('$KV')
      const operation = subject.startsWith('video.work') ? 2 : world.pick([0, 1, 2, 2, 2])
      const sequence = world.chance(0.4)
        ? undefined
        : world.chance(0.5)
          ? known.at(-1)
          : world.pick(known)
      const choice = {
        subject,
        text: JSON.stringify({ i }),
        wildcard: subject.startsWith('video.out'),
        purge: isKey && world.chance(0.2),
        ...(sequence === undefined || subject.startsWith('video.work')
          ? {}
          : { expect: world.chance(0.3) ? 0 : sequence }),
      }
      const answers = [
        await one(real, operation, choice),
        await inWorld(one(memory, operation, choice)),
      ]
      expect(answers[1], `operation ${i}: ${operation} ${JSON.stringify(choice)}`).toEqual(
        answers[0],
      )
      if (operation === 2 && typeof answers[0] === 'number') known.push(answers[0])
    }
  }, 60_000)

  it('delivers, redelivers and forgets as nats-server does', async () => {
    const begin = (bus: Bus) => {
      const seen: string[] = []
      const plan = (job: Job) => {
        seen.push(`${job.subject} ${job.deliveries}`)
        if (job.subject.endsWith('.m')) return job.deliveries < 3 ? job.nak(50) : job.ack()
        if (job.subject.endsWith('.n')) return job.term()
        return job.ack()
      }
      return {
        seen,
        consuming: bus.consume(streams.work, consumers.submit, 10, async (job) => plan(job)),
      }
    }
    const [ours, theirs] = [begin(memory), begin(real)]
    const until = world.now + 2_000
    while (world.now < until) await world.step()
    for (let i = 0; i < 40 && theirs.seen.length < ours.seen.length; i++) await pause(100)
    expect(ours.seen.toSorted()).toEqual(theirs.seen.toSorted())
    expect(ours.seen.length).toBeGreaterThan(0)
    for (const id of ['m', 'n', 'o']) {
      const again = (bus: Bus) =>
        said(async () => typeof (await bus.store(`video.work.submit.${id}`, '{}')))
      expect(await inWorld(again(memory))).toBe('number')
      expect(await again(real)).toBe('number')
    }
    await theirs.consuming[Symbol.asyncDispose]()
  }, 30_000)
})

describe(`the store in memory, seed ${seed}`, () => {
  const world = new World(seed)
  const memory = new MemoryStore(() => world.now)
  let server: LocalServer
  let db: Database
  let demo: Demo
  type Store = InterfaceOf<SubmissionWriter> &
    InterfaceOf<ReportWriter> &
    InterfaceOf<Outbox> &
    InterfaceOf<Recovery>
  let real: Store

  /** One object with the methods of all the store's classes. */
  const joined = (parts: object[]) =>
    new Proxy(
      {},
      {
        get(_target, name) {
          const part = parts.find((one) => name in one)
          const method: unknown = part && Reflect.get(part, name)
          return typeof method === 'function' ? method.bind(part) : undefined
        },
      },
    ) as Store

  beforeAll(async () => {
    server = await startPostgres({ dir: join(dir, 'postgres') })
    await migrate(server.url)
    demo = await seedDemo(server.url, `rk_test_${'x'.repeat(43)}`)
    db = openDatabase(server.url, 4)
    real = joined([
      new SubmissionWriter(db),
      new ReportWriter(db),
      new Outbox(db),
      new Recovery(db),
    ])
  })
  afterAll(async () => {
    await db?.$disconnect()
    await server?.stop()
  })

  const pins = { provider: 'toapis', baseUrl: 'http://127.0.0.1:1/v1', keyCipher: 'v1.a.b.c' }
  const phases = ['queued', 'running', 'retrying', 'throttled', 'overdue', 'cancelling'] as const

  /** One operation, chosen once, to be carried out on either store. */
  function choose(ids: string[]): (store: Store) => Promise<unknown> {
    const id = world.pick(ids)
    const row = memory.videos.get(id)
    const attempt = world.chance(0.85) ? (row?.attempt ?? 1) : world.pick([1, 2, 3])
    const sent = Math.max(
      0,
      ...memory.submissions
        .filter((one) => one.videoId === id && one.attempt === attempt)
        .map((one) => one.send),
    )
    const send = world.chance(0.8)
      ? Math.max(1, sent + world.pick([0, 0, 1]))
      : world.pick([1, 2, 3])
    const epoch = world.chance(0.7)
      ? String(row?.epoch ?? 0n)
      : String(world.pick([1, 2, 3, 4_294_967_296, 4_294_967_299]))
    const no = world.chance(0.7) ? (row?.reportNo ?? 0) + 1 : world.pick([1, 2, 3])
    const error = {
      code: world.pick(['cancelled', 'provider_failed', 'timed_out'] as const),
      message: 'no',
    }
    const status = world.pick([
      'generating',
      'generating',
      'generating',
      'completed',
      'failed',
    ] as const)
    const change = world.chance(0.15)
      ? null
      : {
          status,
          phase: status === 'generating' ? world.pick(phases) : ('done' as const),
          progress: world.pick([null, 0, 50, 100]),
          videoUrl: status === 'completed' ? 'https://example.com/v.mp4' : null,
          videoUrlExpiresAt: status === 'completed' ? '2026-02-01T00:00:00.000Z' : null,
          error: status === 'failed' ? error : null,
        }
    const session = world.pick(['s1', 's2'])
    const known = world.pick(['later', 'later', 'absent', 'refused', 'unreadable', 'lost'] as const)
    const waitPhase = world.pick(['throttled', null] as const)
    const how = world.pick(['answer', 'lookup', 'adopted'] as const)
    const taskId = `task-${id}-${attempt}-${world.chance(0.8) ? 1 : 2}`
    const accept = (store: Store) =>
      store
        .accepted(id, { attempt, send, taskId, how })
        .then(({ fate, event }) => [fate, event?.body.version])
    const bid = world.chance(0.5)
      ? epoch
      : String((row?.epoch ?? 0n) + BigInt(world.pick([-1, 1, 2, 4_294_967_296])))
    const claim = async (store: Store) =>
      (await store.commitClaims(session, [{ id, epoch: bid }])).grants.map((grant) => [
        grant.epoch,
        grant.attempt,
        grant.status,
        grant.phase,
        grant.taskId,
        grant.reportNo,
        grant.cancelRequested,
      ])
    const operations: ((store: Store) => Promise<unknown>)[] = [
      async (store) => (await store.intend(id, attempt, send, pins)) !== null,
      async (store) => (await store.intend(id, attempt, send, pins)) !== null,
      accept,
      accept,
      accept,
      (store) => store.addDoubtfulIntentsAfterRestore(id, pins),
      async (store) => {
        const restoredAt = new Date(Date.UTC(2026, 0, 1) + world.now)
        if (store === real)
          await db.$executeRaw`UPDATE "SceneVideo" SET "restoredAt" = now() WHERE id = ${id}::uuid`
        else Object.assign(memory.videos.get(id)!, { restoredAt })
      },
      (store) => store.answered(id, attempt, send, known, 'x'),
      async (store) =>
        (await store.wait(id, attempt, { reason: 'x', ms: 5_000, phase: waitPhase }))?.body.version,
      async (store) => (await store.failPending(id, attempt, error))?.body.version,
      async (store) => {
        const { video, ownerActs } = await store.cancel(
          demo.userId,
          id,
          world.chance(1) ? attempt : null,
        )
        return [video.status, video.version, ownerActs]
      },
      async (store) =>
        (({ version, attempt: now }) => [version, now])(
          await store.retry(demo.userId, id, attempt),
        ),
      claim,
      claim,
      claim,
      ...Array.from({ length: 6 }, () => async (store: Store) => {
        const { fate, event } = (await store.apply([{ id, attempt, epoch, no, change }])).get(id)!
        return [
          fate,
          event && [
            event.event,
            event.body.version,
            event.body.status,
            event.body.phase,
            event.body.progress,
            Number(event.timelineId),
          ],
        ]
      }),
      async (store) =>
        (await store.owed([id], 100)).map((one) => [
          one.event,
          one.body.version,
          one.body.status,
          one.body.phase,
          one.body.progress,
        ]),
      async (store) =>
        (await store.load(id))?.submissions.map((one) => [
          one.attempt,
          one.send,
          one.answer,
          one.taskId,
          one.settledAt !== null,
          one.outcome,
        ]),
      (store) => store.noteLate(id, attempt, send, 'completed', {}),
      async (store) => (await store.unsettledVideos(86_400_000, 0)).toSorted(),
      async (store) => (await store.videosWithOpenTask()).toSorted(),
    ]
    // A task can only be recorded on a send that was intended.
    const chosen = world.pick(operations)
    return chosen === accept &&
      !memory.submissions.some(
        (one) => one.videoId === id && one.attempt === attempt && one.send === send,
      )
      ? operations[0]!
      : chosen
  }

  it('changes and answers as Postgres does', async () => {
    const ids: string[] = []
    for (let i = 0; i < 12; i++) {
      const request = {
        id: world.uuid(),
        userId: demo.userId,
        projectId: demo.projectId,
        scriptId: demo.scriptId,
        sceneId: demo.sceneIds[0]!,
        body: { prompt: 'x' },
        idempotencyKey: null,
        system: { provider: 'toapis', providers: {} },
      }
      for (const store of [real, memory]) await store.accept(request)
      ids.push(request.id)
    }
    const state = ({
      id,
      status,
      phase,
      progress,
      attempt,
      version,
      epoch,
      reportNo,
      session,
      taskId,
      videoUrl,
      errorCode,
      cancelRequested,
      waitReason,
      dueAt,
      startedAt,
      completedAt,
    }: Awaited<ReturnType<Database['sceneVideo']['findUniqueOrThrow']>>) => [
      id,
      status,
      phase,
      progress,
      attempt,
      version,
      String(epoch),
      reportNo,
      session,
      taskId,
      videoUrl,
      errorCode,
      cancelRequested,
      waitReason,
      dueAt !== null,
      startedAt !== null,
      completedAt !== null,
    ]
    for (let i = 0; i < 1_500; i++) {
      world.now += 1_000
      const operation = choose(ids)
      const answers = [
        await said(() => operation(real)),
        await said(() => operation(memory as unknown as Store)),
      ]
      expect(answers[1], `answer to operation ${i}: ${String(operation)}`).toEqual(answers[0])
      const rows = await db.sceneVideo.findMany({ orderBy: { id: 'asc' } })
      expect(
        [...memory.videos.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)).map(state),
        `rows after operation ${i}: ${String(operation)}`,
      ).toEqual(rows.map(state))
    }
    const kinds = (await db.timeline.findMany({ orderBy: { id: 'asc' } })).map((row) => [
      row.videoId,
      row.version,
      row.event,
    ])
    expect(memory.timeline.map((row) => [row.videoId, row.version, row.event])).toEqual(kinds)
  }, 600_000)
})
