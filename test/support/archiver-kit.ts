/** A real Postgres, a real nats-server, a provider's file server that misbehaves, and archivers. */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import type { Service } from '#libs/runtime/service.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { startArchiver } from '#services/archiver/service.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { startFileServer, type FileServer } from './file-server.ts'
import { startDatabase } from './postgres.ts'
import { until as untilSeen } from './system.ts'

export const clip = readFileSync(
  new URL('../../services/provider-simulator/clip.mp4', import.meta.url),
)
const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-archiver-'))
chmodSync(dir, 0o755)
const stops: (() => unknown)[] = []
const services: Service[] = []
export let env: NodeJS.ProcessEnv
export let db: Database
export let bus: NatsBus
let demo: Demo
export let provider: FileServer

/** For one file of tests. */
export function startKit(): void {
  beforeAll(async () => {
    const postgres = await startDatabase(join(dir, 'postgres'))
    stops.push(() => postgres.stop())
    const nats = await startNats({ dir: join(dir, 'nats') })
    stops.push(() => nats.stop())
    demo = await seedDemo(postgres.url, `rk_test_${'x'.repeat(43)}`)
    db = openDatabase(postgres.url, 4)
    bus = await connectBus({
      config: { NATS_URL: nats.url },
      user: 'status',
      name: 'test',
      log: createLogger('test', 'silent'),
    })
    await ensureTopology(bus, { eventDays: 30, replicas: 1 }, async () => 1)
    provider = await startFileServer(clip)
    env = {
      LOG_LEVEL: 'silent',
      HEALTH_HOST: '127.0.0.1',
      DATABASE_URL: postgres.url,
      NATS_URL: nats.url,
      FILES_DIR: join(dir, 'files'),
      FILE_STALL_MS: '1500',
      FILE_TRUSTED_HOSTS: [
        new URL(provider.url).host,
        new URL(provider.url).host.replace('127.0.0.1', 'localhost'),
      ].join(),
    }
  })
  afterEach(async () => {
    for (const service of services.splice(0)) await service[Symbol.asyncDispose]()
  })
  afterAll(async () => {
    await provider?.[Symbol.asyncDispose]()
    await db?.$disconnect()
    await bus?.drain()
    for (const stop of stops.toReversed()) await stop()
    rmSync(dir, { recursive: true, force: true })
  })
}

export async function archiver(more: NodeJS.ProcessEnv = {}): Promise<void> {
  services.push(await startArchiver(readConfig(archiverSettings, { ...env, ...more })))
}

/** Ends those that were started. */
export async function stopArchivers(): Promise<void> {
  for (const one of services.splice(0)) await one[Symbol.asyncDispose]()
}

/** The account that a task was made with. */
interface Sealed {
  baseUrl: string
  keyCipher: string
}

export async function completed(
  path: string,
  more: { userId?: string; expiresInMs?: number; provider?: string; account?: Sealed } = {},
): Promise<string> {
  const id = crypto.randomUUID()
  const { projectId, scriptId, sceneIds } = demo
  await db.sceneVideo.create({
    data: {
      id,
      projectId,
      scriptId,
      sceneId: sceneIds[0]!,
      userId: more.userId ?? demo.userId,
      status: 'completed',
      phase: 'done',
      progress: 100,
      provider: more.provider ?? 'toapis',
      model: 'm',
      prompt: 'p',
      version: 5,
      taskId: `task-${id}`,
      videoUrl: path.includes(':') ? path : provider.url + path,
      videoUrlExpiresAt:
        more.expiresInMs === undefined ? null : new Date(Date.now() + more.expiresInMs),
    },
  })
  if (more.account)
    await db.submission.create({
      data: {
        videoId: id,
        attempt: 1,
        send: 1,
        provider: more.provider!,
        taskId: `task-${id}`,
        answer: 'accepted',
        ...more.account,
      },
    })
  return id
}

export const video = (id: string) =>
  db.sceneVideo.findUniqueOrThrow({ where: { id }, include: { kept: true, timeline: true } })

export const until = <T>(what: string, look: () => Promise<T | null | undefined | false>) =>
  untilSeen(what, async () => (await look()) || undefined)
export const untilStored = (id: string) =>
  until(`${id} stored`, async () => {
    const found = await video(id)
    return found.phase === 'stored' && found
  })
export const untilFailedOnce = (id: string) =>
  until(`${id} tried`, async () => {
    const { kept } = await video(id)
    return kept?.lastError ? kept : null
  })
