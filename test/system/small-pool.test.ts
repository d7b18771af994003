/**
 * submit with hundreds of videos due at once, a pool of two connections and a slow way to Postgres:
 * videos wait for their turn in submit, not in the pool. None fails for want of a connection, each
 * account's go in order, and another user's pass them.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CreateAnswer, Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import { encrypt } from '#libs/runtime/secrets.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { isOutage } from '#libs/store/errors.ts'
import { askingFor } from '#libs/store/shared-pool.ts'
import { SubmissionWriter, type EffectiveConfig, type NewVideo } from '#libs/store/submissions.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { PendingVideos } from '#services/submit/pending-videos.ts'
import { SlowLink } from '../../bench/lib/slow-link.ts'
import { key, pendingKit } from '../support/pending-kit.ts'
import { until } from '../support/system.ts'
import { startDatabase } from '../support/postgres.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-pool-'))
chmodSync(dir, 0o755)
let server: LocalServer
let link: SlowLink
/** Near, and of two connections far away. */
let near: Database
let far: Database
const tenants: Omit<NewVideo, 'id' | 'body' | 'idempotencyKey' | 'system'>[] = []
beforeAll(async () => {
  server = await startDatabase(join(dir, 'postgres'))
  near = openDatabase(server.url, 4)
  for (const name of ['bad', 'good']) {
    const user = await near.user.create({ data: { name } })
    const project = await near.project.create({ data: { userId: user.id, title: name } })
    const script = await near.script.create({ data: { projectId: project.id, title: name } })
    const scene = await near.scene.create({ data: { scriptId: script.id, prompt: 'a kite' } })
    const keyCipher = encrypt(`sk-${name}`, key)
    await near.aiConfig.create({ data: { userId: user.id, provider: 'toapis', keyCipher } })
    const ids = { userId: user.id, projectId: project.id, scriptId: script.id, sceneId: scene.id }
    tenants.push(ids)
  }
  const url = new URL(server.url)
  link = await SlowLink.to(Number(url.port))
  url.port = String(link.port)
  far = openDatabase(url.href, 2)
})
afterAll(async () => {
  await near?.$disconnect()
  await far?.$disconnect()
  await link?.[Symbol.asyncDispose]()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** Due since so long, the first for the longest. */
async function dueVideos(
  tenant: (typeof tenants)[number],
  count: number,
  sinceMs: number,
): Promise<string[]> {
  const store = new SubmissionWriter(near)
  const ids: string[] = []
  for (let i = 0; i < count; i++) {
    const system = { provider: 'toapis', providers: {} }
    const id = crypto.randomUUID()
    await store.acceptRequest({ ...tenant, id, body: {}, idempotencyKey: null, system })
    ids.push(id)
    const due = new Date(Date.now() - sinceMs - 10 * (count - i))
    await near.sceneVideo.update({ where: { id }, data: { dueAt: due } })
  }
  return ids
}

const later: CreateAnswer = { kind: 'later', retryAfterMs: 1_000, reason: 'rate limit' }
it.each([
  ['accepts', null],
  ['refuses for a while', later],
] as const)(
  'is fair and in order when an account %s',
  async (_, badAnswer) => {
    await near.$executeRaw`TRUNCATE "SceneVideo" CASCADE`
    const bad = await dueVideos(tenants[0]!, 500, 60_000)
    const good = await dueVideos(tenants[1]!, 20, 0)
    const created: string[] = []
    const failures: unknown[] = []
    const create: Provider['create'] = async (_, { ownId }) => {
      const id = ownId.slice(0, 36)
      created.push(id)
      return good.includes(id) || !badAnswer
        ? { kind: 'accepted', taskId: `task-${id}` }
        : badAnswer
    }
    const working: TaskAnswer = { kind: 'working', phase: 'queued', progress: null }
    const find: Provider['find'] = async (_, { ownId }) => ({
      answer: working,
      taskId: `task-${ownId.slice(0, 36)}`,
      rateLimit: null,
    })
    const { context } = pendingKit({ provider: { create, find } })
    const complain = (about: unknown) => void failures.push(about)
    const log = { info: () => {}, debug: () => {}, warn: complain, error: complain }
    Object.assign(context, {
      log,
      clock: systemClock,
      store: new SubmissionWriter(far),
      slots: new FairSlots(sharedByHalf(50, systemClock)),
      systemAccounts: {
        isOn: () => true,
        pins: (_: string, own: EffectiveConfig) => ({ ...own, baseUrl: 'https://example.com/v1' }),
      },
    })
    link.delayMs = 100
    const pending = new PendingVideos(context)
    const isGood = (id: string) => good.includes(id)
    await until(
      'the good user’s creates',
      () => good.every((id) => created.includes(id)) || undefined,
      300_000,
    )
    const before = created.slice(0, created.findLastIndex(isGood)).filter((id) => !isGood(id))
    link.delayMs = 0
    await until('every create', () => badAnswer || created.length >= 520 || undefined, 300_000)
    await pending[Symbol.asyncDispose]()
    expect(failures).toEqual([])
    // while the others still had most of theirs to come
    expect(before.length).toBeLessThan(300)
    const rank = created.filter((id) => !isGood(id)).map((id) => bad.indexOf(id))
    const places = rank.map((at, place) => Math.abs(at - place))
    expect(Math.max(...places)).toBeLessThan(100)
  },
  700_000,
)

it('gives a user who asks much no more than half of a pool that users share', async () => {
  const shared = openDatabase(server.url, 4, 60_000)
  const done: string[] = []
  const ask = (name: string, seconds: number) =>
    askingFor(name, async () => {
      await shared.$queryRaw`SELECT 1 AS one FROM pg_sleep(${seconds}::float8)`
      done.push(name)
    })
  const many = Array.from({ length: 40 }, () => ask('many', 0.5))
  await new Promise((resolve) => setTimeout(resolve, 200))
  await Promise.all([...many, ask('one', 0)])
  expect(done.indexOf('one')).toBeLessThan(8)
  await shared.$disconnect()
})

it('has a statement wait for a connection while all are in use, unless somebody waits for the answer', async () => {
  const patient = openDatabase(server.url, 1)
  const impatient = openDatabase(server.url, 1, 500)
  const hold = (db: Database) => db.$queryRaw`SELECT 1 AS one FROM pg_sleep(6)`
  const ask = (db: Database) => db.$queryRaw`SELECT 2 AS two`
  const [, waited, , refused] = await Promise.allSettled([
    hold(patient),
    ask(patient),
    hold(impatient),
    ask(impatient),
  ])
  expect(waited).toMatchObject({ value: [{ two: 2 }] })
  expect(refused.status === 'rejected' && isOutage(refused.reason)).toBe(true)
  await patient.$disconnect()
  await impatient.$disconnect()
})
