/**
 * Every service can be stopped at any moment of its start, is closed as a whole when a step of its
 * start fails, waits for NATS and Postgres, and lives through their deaths.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '#libs/runtime/config.ts'
import type { Service } from '#libs/runtime/service.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { gatewaySettings } from '#services/gateway/config.ts'
import { startGateway } from '#services/gateway/service.ts'
import { pollerSettings } from '#services/poller/config.ts'
import { startPoller } from '#services/poller/service.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { startArchiver } from '#services/archiver/service.ts'
import { reconcilerSettings } from '#services/reconciler/config.ts'
import { startReconciler } from '#services/reconciler/service.ts'
import { statusSettings } from '#services/status/config.ts'
import { startStatus } from '#services/status/service.ts'
import { submitSettings } from '#services/submit/config.ts'
import { startSubmit } from '#services/submit/service.ts'
import { until } from '../support/system.ts'
import { startDatabase } from '../support/postgres.ts'

type Start = (env: NodeJS.ProcessEnv, signal?: AbortSignal) => Promise<Service>
const services: Record<string, Start> = {
  status: (env, signal) => startStatus(readConfig(statusSettings, env), signal),
  submit: (env, signal) => startSubmit(readConfig(submitSettings, env), signal),
  poller: (env, signal) => startPoller(readConfig(pollerSettings, env), signal),
  reconciler: (env, signal) => startReconciler(readConfig(reconcilerSettings, env), signal),
  archiver: (env, signal) => startArchiver(readConfig(archiverSettings, env), signal),
  gateway: (env, signal) => startGateway(readConfig(gatewaySettings, env), signal),
}
const names = Object.keys(services)

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-start-stop-'))
let nats: LocalServer
let postgres: LocalServer
let env: NodeJS.ProcessEnv
let kept: Service

beforeAll(async () => {
  chmodSync(dir, 0o755)
  nats = await startNats({ dir: join(dir, 'nats') })
  postgres = await startDatabase(join(dir, 'postgres'))
  env = {
    LOG_LEVEL: 'silent',
    DATABASE_URL: postgres.url,
    NATS_URL: nats.url,
    HOST: '127.0.0.1',
    HEALTH_HOST: '127.0.0.1',
    PORT: '0',
    HEALTH_PORT: '0',
    KEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    TOAPIS_API_KEY: 'sk-0',
    FILES_DIR: join(dir, 'files'),
    TOAPIS_BASE_URL: 'http://127.0.0.1:9/v1',
  }
  kept = await services['status']!(env) // the streams are made
})
afterAll(async () => {
  await kept?.[Symbol.asyncDispose]()
  await nats?.stop()
  await postgres?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const statusOf = (port: number, path: string) =>
  fetch(`http://127.0.0.1:${port}${path}`).then(
    (response) => response.status,
    () => 0,
  )

describe.each(names)('%s', (name) => {
  const start = services[name]!

  it('starts, is ready, and stops, however often it is asked', async () => {
    for (let round = 0; round < 3; round++) {
      const port = await freePort()
      const service = await start({ ...env, HEALTH_PORT: String(port) })
      await until('readiness', async () => (await statusOf(port, '/readyz')) === 200 || undefined)
      await Promise.all([service[Symbol.asyncDispose](), service[Symbol.asyncDispose]()])
      await service[Symbol.asyncDispose]()
      await service.closed
      expect(await statusOf(port, '/livez')).toBe(0)
    }
  })

  it('can be stopped at any moment of its start', async () => {
    for (let ms = 0; ms < 120; ms += 5) {
      const port = await freePort()
      const stop = new AbortController()
      setTimeout(() => stop.abort(), ms)
      const service = await start({ ...env, HEALTH_PORT: String(port) }, stop.signal).catch(
        (err: unknown) => {
          expect((err as Error).name).toBe('AbortError')
          return null
        },
      )
      await service?.[Symbol.asyncDispose]()
      expect(await statusOf(port, '/livez')).toBe(0)
    }
  })

  it.each(['NATS_URL', 'DATABASE_URL'])('waits, live, while %s is away', async (away) => {
    const scheme = away === 'NATS_URL' ? 'nats' : 'postgresql'
    const port = await freePort()
    const stop = new AbortController()
    const starting = start(
      { ...env, [away]: `${scheme}://127.0.0.1:9/x`, HEALTH_PORT: String(port) },
      stop.signal,
    ).catch((err: unknown) => {
      expect((err as Error).name).toBe('AbortError')
      return null
    })
    await until('liveness', async () => (await statusOf(port, '/livez')) === 200 || undefined)
    if (name !== 'poller' || away === 'NATS_URL') expect(await statusOf(port, '/readyz')).toBe(503)
    stop.abort()
    const service = await starting
    await service?.[Symbol.asyncDispose]()
    expect(await statusOf(port, '/livez')).toBe(0)
  })
})
