/**
 * The simulation's store behaves as Postgres: the same random operations on both, with the same
 * answers and the same rows.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '#libs/store/connect.ts'
import { FileRecords } from '#libs/store/file-records.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import type { Demo } from '#services/dev/seed.ts'
import { said, seed } from './conformance.ts'
import { FileOperations, rowsOf } from './file-operations.ts'
import { MemoryStore } from './memory-store.ts'
import { joined, Operations } from './store-operations.ts'
import { World } from './world.ts'
import { startStore, type StoreKit } from '../support/store-kit.ts'

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

const world = new World(seed)
let kit: StoreKit
let db: Database
let demo: Demo
beforeAll(async () => {
  kit = await startStore()
  ;({ db, demo } = kit)
})
afterAll(() => kit?.[Symbol.asyncDispose]())

const realStore = () =>
  joined([new SubmissionWriter(db), new ReportWriter(db), new Outbox(db), new Recovery(db)])

describe(`the store in memory, seed ${seed}`, () => {
  it('changes and answers as Postgres does', async () => {
    const memory = new MemoryStore(() => world.now)
    const real = realStore()
    const operations = new Operations({ world, memory, real, db, userId: demo.userId })
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
      for (const store of [real, memory]) await store.acceptRequest(request)
      ids.push(request.id)
    }
    for (let i = 0; i < 1_500; i++) {
      world.now += 1_000
      const operation = operations.choose(ids)
      const answers = [await said(() => operation(real)), await said(() => operation(memory))]
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

describe(`the queue of files in memory, seed ${seed}`, () => {
  it('keeps the archiver’s queue as Postgres does', async () => {
    await db.$executeRaw`TRUNCATE "SceneVideo" CASCADE`
    const began = performance.now()
    const store = new MemoryStore(() => world.now + performance.now() - began)
    const other = await db.user.create({ data: { name: 'other' } })
    const userIds = [demo.userId, other.id]
    const of = { world, memory: store, db, userIds }
    const [files, real] = [new FileOperations(of), realStore()]
    const records = new FileRecords(db)
    for (let i = 0; i < 400; i++) {
      if (i % 8 === 0) {
        const { projectId, scriptId, sceneIds, userId } = demo
        const place = { projectId, scriptId, sceneId: sceneIds[0]!, userId }
        const rest = { body: { prompt: 'x' }, idempotencyKey: null }
        const system = { provider: 'toapis', providers: {} }
        const request = { id: world.uuid(), ...place, ...rest, system }
        for (const one of [real, store]) await one.acceptRequest(request)
        await files.complete(request.id, world.pick([null, -10, 2, 40, 90]))
      }
      await files.pass(world.pick([0, 0, 1, 2]))
      const operation = files.choose()
      const answers = [await operation(records), await operation(store.files)]
      expect(answers[1], `answer to operation ${i}: ${String(operation)}`).toEqual(answers[0])
      const [rows, inMemory] = await rowsOf(of)
      expect(inMemory, `rows after operation ${i}: ${String(operation)}`).toEqual(rows)
    }
    const states = Object.groupBy(await db.file.findMany(), ({ state }) => state)
    for (const state of ['waiting', 'stored', 'lost']) expect(states[state]).toBeDefined()
  }, 600_000)
})
