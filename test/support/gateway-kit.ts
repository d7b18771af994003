/**
 * The services behind one gateway, in this process, on a real Postgres and nats-server of their
 * own, with the provider simulator; and a client that holds every answer against the OpenAPI
 * document the gateway itself gives.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { keyEncryptionKey, sealingKeyOf } from '#libs/runtime/secrets.ts'
import type { Service } from '#libs/runtime/service.ts'
import { ApiKeys } from '#libs/store/api-keys.ts'
import type { Scope } from '#libs/store/api-key.ts'
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { gatewaySettings } from '#services/gateway/config.ts'
import { startGateway } from '#services/gateway/service.ts'
import { simulatorSettings } from '#services/provider-simulator/config.ts'
import { startSimulator } from '#services/provider-simulator/service.ts'
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
import { Contract } from './openapi-contract.ts'
import { startDatabase } from './postgres.ts'

export interface Answer {
  status: number
  headers: Headers
  body: Record<string, unknown> & { data?: never }
}

export class Stack implements AsyncDisposable {
  readonly #stops: (() => Promise<unknown>)[] = []
  readonly #env: NodeJS.ProcessEnv
  #nats: LocalServer | undefined
  #postgres: LocalServer | undefined
  #dir = ''
  databaseUrl = ''
  natsUrl = ''
  gatewayUrl = ''
  simulatorUrl = ''
  apiKey = `rk_demo_${randomBytes(24).toString('base64url')}`
  demo!: Demo
  /** What `start` has started. */
  first!: { submit: Service; gateway: Awaited<ReturnType<typeof startGateway>> }
  db!: Database
  keys!: ApiKeys
  contract!: Contract
  readonly keyEncryptionKey = randomBytes(32).toString('base64')
  readonly streamTokenKey = randomBytes(32).toString('base64')

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.#env = env
  }

  get env(): NodeJS.ProcessEnv {
    return {
      LOG_LEVEL: 'fatal',
      DATABASE_URL: this.databaseUrl,
      NATS_URL: this.natsUrl,
      HOST: '127.0.0.1',
      HEALTH_HOST: '127.0.0.1',
      PORT: '0',
      HEALTH_PORT: '0',
      KEY_ENCRYPTION_KEY: this.keyEncryptionKey,
      STREAM_TOKEN_KEY: this.streamTokenKey,
      TOAPIS_API_KEY: 'sk-system-0000sys4',
      TOAPIS_BASE_URL: `${this.simulatorUrl}/v1`,
      TOAPIS_WEBHOOK_SECRET: 'whsec',
      RATE_LIMIT_PER_MINUTE: '1000000',
      MAX_CREATES_PER_MINUTE: '1000000',
      MAX_CREATES_PER_DAY: '1000000',
      MAX_EVENT_LOOP_DELAY_MS: '10000',
      POLL_INTERVAL_MS: '300',
      FILES_DIR: join(this.#dir, 'files'),
      FILE_TRUSTED_HOSTS: this.simulatorUrl && new URL(this.simulatorUrl).host,
      ...this.#env,
    }
  }

  async start(): Promise<void> {
    const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-gateway-'))
    chmodSync(dir, 0o755)
    this.#stops.push(async () => rmSync(dir, { recursive: true, force: true }))
    this.#dir = dir
    const postgres = await startDatabase(join(dir, 'postgres'))
    this.#postgres = postgres
    this.#stops.push(() => this.#postgres!.stop())
    const nats = await startNats({ dir: join(dir, 'nats') })
    this.#nats = nats
    this.#stops.push(() => this.#nats!.stop())
    this.databaseUrl = postgres.url
    this.natsUrl = nats.url
    this.demo = await seedDemo(postgres.url, this.apiKey)
    this.db = openDatabase(postgres.url, 4)
    this.#stops.push(() => this.db.$disconnect())
    this.keys = new ApiKeys(this.db)
    const simulator = await startSimulator(
      readConfig(simulatorSettings, {
        ...this.env,
        SIMULATOR_DATA: join(dir, 'simulator'),
        SIMULATOR_PORT: '0',
        SIMULATOR_HOST: '127.0.0.1',
      }),
    )
    this.#stops.push(() => Promise.resolve(simulator[Symbol.asyncDispose]()))
    this.simulatorUrl = simulator.url
    this.#kept(await startStatus(readConfig(statusSettings, this.env)))
    this.first = { submit: await this.submit(), gateway: await this.gateway() }
    this.gatewayUrl = this.first.gateway.url
    this.contract = await Contract.of(this.gatewayUrl)
  }

  /** One more gateway on the same stores; of KEY_ENCRYPTION_KEY it gets the public half. */
  async gateway(env: NodeJS.ProcessEnv = {}): Promise<Awaited<ReturnType<typeof startGateway>>> {
    const { KEY_ENCRYPTION_KEY = '', ...rest } = { ...this.env, ...env }
    const key = keyEncryptionKey.parse(KEY_ENCRYPTION_KEY)[0]
    const own = { KEY_SEALING_KEY: sealingKeyOf(key).toString('base64'), ...rest }
    return this.#kept(await startGateway(readConfig(gatewaySettings, own)))
  }

  async submit(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    return this.#kept(await startSubmit(readConfig(submitSettings, { ...this.env, ...env })))
  }

  async poller(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    return this.#kept(await startPoller(readConfig(pollerSettings, { ...this.env, ...env })))
  }

  async archiver(env: NodeJS.ProcessEnv = {}): Promise<Service> {
    return this.#kept(await startArchiver(readConfig(archiverSettings, { ...this.env, ...env })))
  }

  #kept<S extends Service>(service: S): S {
    this.#stops.push(() => Promise.resolve(service[Symbol.asyncDispose]()))
    return service
  }

  async reconciler(env: NodeJS.ProcessEnv = {}): Promise<void> {
    this.#kept(await startReconciler(readConfig(reconcilerSettings, { ...this.env, ...env })))
  }

  /**
   * NATS is killed, and finds when it starts again what `meanwhile` has made of its store's
   * directory.
   */
  async restartNats(meanwhile: (store: string) => void = () => {}): Promise<void> {
    await this.#nats!.kill()
    meanwhile(join(this.#dir, 'nats', 'data'))
    this.#nats = await startNats({ dir: join(this.#dir, 'nats'), port: this.#nats!.port })
  }

  /** Postgres' first process is killed; its backends notice, and it starts again. */
  async restartPostgres(): Promise<void> {
    await this.#postgres!.kill()
    this.#postgres = await startPostgres({
      dir: join(this.#dir, 'postgres'),
      port: this.#postgres!.port,
    })
  }

  async simulate(settings: unknown): Promise<void> {
    await fetch(`${this.simulatorUrl}/settings`, { method: 'PUT', body: JSON.stringify(settings) })
  }

  get scenePath(): string {
    const { projectId, scriptId, sceneIds } = this.demo
    return `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[0]}`
  }

  /** A key of a new user. */
  async stranger(scopes: Scope[] = ['read', 'write', 'configure', 'admin']): Promise<string> {
    const user = await this.keys.createUser('stranger')
    return (await this.keys.create(user.id, scopes, null)).apiKey
  }

  async keyWith(scopes: Scope[]): Promise<string> {
    return (await this.keys.create(this.demo.userId, scopes, null)).apiKey
  }

  /** Asks, and holds the answer against the OpenAPI document. */
  async ask(
    method: string,
    path: string,
    options: {
      body?: unknown
      key?: string | null
      headers?: Record<string, string>
      url?: string
    } = {},
  ): Promise<Answer> {
    const { body, key = this.apiKey, headers = {}, url = this.gatewayUrl } = options
    const response = await fetch(url + path, {
      method,
      redirect: 'manual',
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    this.contract.check(method, path, response.status, response.headers, text)
    return {
      status: response.status,
      headers: response.headers,
      body: text ? JSON.parse(text) : {},
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops.toReversed()) await stop()
  }
}
