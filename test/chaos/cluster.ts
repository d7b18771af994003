/**
 * The whole system as real processes, two or more of each service, every one behind proxies of its
 * own to NATS and Postgres and with a wall clock of its own. A process that ends is started again
 * at once; one that is held only when it is let go.
 */
import {
  chmodSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  rmSync,
  type WriteStream,
} from 'node:fs'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { credentials } from '#services/dev/credentials.ts'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { migrate } from '#libs/store/migrate.ts'
import { startService, Supervisor } from '#services/dev/supervisor.ts'
import { until } from '../support/system.ts'
import { Proxy } from './proxy.ts'

export type Server = 'postgres' | 'nats'

export interface ClusterOptions {
  pollers?: number
  /** How many of submit, status and gateway each. */
  others?: number
  /** Between the services and the servers. */
  proxied?: boolean
  /** Largest distance of a service's wall clock from the true one, in ms. */
  skewMs?: number
  random: () => number
  env?: Record<string, string>
  /** Where NATS keeps its files. */
  natsDir?: string
}

export interface Answer {
  status: number
  body: Record<string, unknown>
}

const main = (directory: string) =>
  fileURLToPath(new URL(`../../services/${directory}/main.ts`, import.meta.url))
const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const skew = fileURLToPath(new URL('skew.mjs', import.meta.url))
const secrets = {
  natsSecret: randomBytes(24).toString('base64url'),
  postgresSecret: randomBytes(24).toString('base64url'),
}
const apiKey = `rk_chaos_${randomBytes(24).toString('base64url')}`

/** Quick enough for a provider whose videos take seconds. */
const quick = {
  POLL_INTERVAL_MS: '1000',
  RECONCILE_INTERVAL_MS: '5000',
  STALE_AFTER_MS: '15000',
  CREATE_TIMEOUT_MS: '1500',
  SEND_WINDOW_MS: '1000',
  LOOKUP_WINDOW_MS: '6000',
  QUERY_PER_SECOND: '100000',
  QUERY_BURST: '100000',
  LOG_LEVEL: 'info',
}

/** False when there is no such process. */
export function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return pid > 0 && process.kill(pid, signal)
  } catch {
    return false
  }
}

export class Cluster implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'reelkeeper-chaos-'))
  readonly crashPoints = join(this.dir, 'crash-points')
  readonly #options: ClusterOptions
  readonly #log: WriteStream
  readonly #supervisor: Supervisor
  readonly #stopped = new Set<number>()
  readonly #gates = new Map<string, Promise<void>>()
  readonly #proxies = new Map<string, Proxy>()
  readonly #ports = { postgres: 0, nats: 0, simulator: 0 }
  readonly #gateways: string[] = []
  readonly services: string[] = []
  databaseUrl = ''
  demo!: Demo
  pollers = 0
  #run!: (name: string, directory: string, more?: Record<string, string>) => Promise<void>
  #turn = 0

  private constructor(options: ClusterOptions) {
    this.#options = options
    chmodSync(this.dir, 0o755)
    mkdirSync(this.crashPoints)
    this.#log = createWriteStream(join(this.dir, 'log.txt'))
    this.#supervisor = new Supervisor(
      () => {},
      (line) => void this.#log.write(`${line}\n`),
    )
    process.once('exit', this.#endAtOnce)
    process.once('SIGINT', () => process.exit(130))
    process.once('SIGTERM', () => process.exit(143))
  }

  /** Nothing outlives the process that asked for it, however that ends. */
  readonly #endAtOnce = () => {
    for (const pid of this.#stopped) send(pid, 'SIGCONT')
    for (const { name } of this.#supervisor.processes()) this.signal(name, 'SIGKILL')
    if (!process.env['KEEP']) rmSync(this.dir, { recursive: true, force: true })
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    try {
      await cluster.#start()
      return cluster
    } catch (err) {
      await cluster[Symbol.asyncDispose]()
      throw err
    }
  }

  async #start(): Promise<void> {
    const { pollers = 3, others = 2, env = {} } = this.#options
    for (const name of ['postgres', 'nats', 'simulator'] as const)
      this.#ports[name] = await freePort()
    const ports = this.#ports
    await this.#supervisor.run('postgres', async () => {
      await this.#gates.get('postgres')
      const server = await startPostgres({
        dir: this.postgresDir,
        port: ports.postgres,
        secret: secrets.postgresSecret,
      })
      this.databaseUrl = server.url
      return server
    })
    await this.#supervisor.run('nats', async () => {
      await this.#gates.get('nats')
      return startNats({ dir: this.natsDir, port: ports.nats, secret: secrets.natsSecret })
    })
    await migrate(credentials(ports, secrets).owner)
    this.demo = await seedDemo(this.databaseUrl, apiKey)
    const common = {
      ...process.env,
      TOAPIS_BASE_URL: `${this.simulatorUrl}/v1`,
      TOAPIS_API_KEY: `sk-${randomBytes(12).toString('hex')}`,
      TOAPIS_WEBHOOK_SECRET: 'webhook-secret',
      KEY_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      HEALTH_PORT: '0',
      HEALTH_HOST: '127.0.0.1',
      CRASH_POINTS: this.crashPoints,
      ...quick,
      ...env,
    }
    this.#run = async (name, directory, more = {}) => {
      const skewMs = Math.round((this.#options.random() * 2 - 1) * (this.#options.skewMs ?? 0))
      const own = {
        ...common,
        ...(await this.#servers(name, directory)),
        CLOCK_SKEW_MS: String(skewMs),
        ...more,
      }
      const options =
        skewMs === 0 || name === 'simulator' ? {} : { NODE_OPTIONS: `--import=${skew}` }
      await this.#supervisor.run(name, async () => {
        await this.#gates.get(name)
        return startService(
          name,
          main(directory),
          { ...own, ...options },
          (line) => void this.#log.write(`${line}\n`),
        )
      })
      if (name !== 'simulator') this.services.push(name)
    }
    const run = this.#run
    await run('simulator', 'provider-simulator', {
      SIMULATOR_PORT: String(ports.simulator),
      SIMULATOR_DATA: join(this.dir, 'simulator'),
    })
    for (let n = 1; n <= others; n++) await run(`status-${n}`, 'status')
    for (let n = 1; n <= others; n++) await run(`submit-${n}`, 'submit')
    await run('reconciler', 'reconciler')
    for (let n = 1; n <= pollers; n++) await this.addPoller()
    for (let n = 1; n <= others; n++) {
      const port = await freePort()
      this.#gateways.push(`http://127.0.0.1:${port}`)
      await run(`gateway-${n}`, 'gateway', { PORT: String(port), HOST: '127.0.0.1' })
    }
    await this.ready()
  }

  async addPoller(): Promise<void> {
    const name = `poller-${++this.pollers}`
    await this.#run(name, 'poller', { POLLER_NAME: name })
  }

  get postgresDir(): string {
    return join(this.dir, 'postgres')
  }

  get natsDir(): string {
    return this.#options.natsDir ?? join(this.dir, 'nats')
  }

  get natsUrl(): string {
    return credentials(this.#ports, secrets).tool.natsUrl
  }

  get simulatorUrl(): string {
    return `http://127.0.0.1:${this.#ports.simulator}`
  }

  get logFile(): string {
    return join(this.dir, 'log.txt')
  }

  /** How this service reaches its servers, as a user and a role of its own. */
  async #servers(name: string, directory: string): Promise<NodeJS.ProcessEnv> {
    const { NATS_URL, DATABASE_URL, ...rest } = credentials(this.#ports, secrets).service(directory)
    return {
      ...rest,
      NATS_URL: NATS_URL && (await this.#through(name, 'nats', NATS_URL)),
      DATABASE_URL: DATABASE_URL && (await this.#through(name, 'postgres', DATABASE_URL)),
    }
  }

  async #through(name: string, server: Server, direct: string): Promise<string> {
    if (!this.#options.proxied) return direct
    const proxy = await Proxy.to(this.#ports[server])
    this.#proxies.set(`${name} ${server}`, proxy)
    return direct.replace(`:${this.#ports[server]}`, `:${proxy.port}`)
  }

  proxy(name: string, server: Server): Proxy | undefined {
    return this.#proxies.get(`${name} ${server}`)
  }

  /** Every gateway is ready. */
  async ready(timeoutMs = 60_000): Promise<void> {
    for (const url of this.#gateways)
      await until(
        `${url} to be ready`,
        async () => ((await fetch(`${url}/readyz`)).ok ? true : undefined),
        timeoutMs,
      )
  }

  pid(name: string): number {
    return this.#supervisor.processes().find((one) => one.name === name)?.pid ?? 0
  }

  /** False when there is no such process now. */
  signal(name: string, signal: NodeJS.Signals): boolean {
    return send(this.pid(name), signal)
  }

  /**
   * Stops processes until the returned function is called; a cluster that ends wakes them, too:
   * nothing stays behind that cannot even die.
   */
  stop(pids: number[]): () => void {
    for (const pid of pids) {
      this.#stopped.add(pid)
      send(pid, 'SIGSTOP')
    }
    return () => {
      for (const pid of pids) {
        this.#stopped.delete(pid)
        send(pid, 'SIGCONT')
      }
    }
  }

  /** After it has ended, it is not started again until the returned function is called. */
  hold(name: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#gates.set(name, promise)
    return () => {
      this.#gates.delete(name)
      resolve()
    }
  }

  /** One gateway after another, as a load balancer would. Status 0: nobody answered. */
  async api(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const url = this.#gateways[this.#turn++ % this.#gateways.length]!
    try {
      const response = await fetch(url + path, {
        method,
        signal: AbortSignal.timeout(15_000),
        headers: {
          authorization: `Bearer ${apiKey}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: response.status, body: (await response.json()) as Record<string, unknown> }
    } catch {
      return { status: 0, body: {} }
    }
  }

  async simulator<T>(path: string, body?: unknown): Promise<T> {
    const response = await fetch(
      this.simulatorUrl + path,
      body === undefined ? {} : { method: 'PUT', body: JSON.stringify(body) },
    )
    if (!response.ok) throw new Error(await response.text())
    return (await response.json()) as T
  }

  /** The operator's command, past every proxy; what it printed. @throws when it fails */
  async operate(...args: string[]): Promise<string> {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...args], {
      env: { ...process.env, ...credentials(this.#ports, secrets).operator },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
    if (code !== 0) throw new Error(`${args.join(' ')}: ${output}`)
    return output
  }

  /** Asks Postgres itself, past every proxy. */
  async query<T extends object>(sql: string, values: unknown[] = []): Promise<T[]> {
    const client = new pg.Client({
      connectionString: this.databaseUrl,
      connectionTimeoutMillis: 2_000,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return (await client.query<T>(sql, values)).rows
    } finally {
      await client.end().catch(() => {})
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#stopped) send(pid, 'SIGCONT')
    for (const { pid, name } of this.#supervisor.processes())
      if (pid > 0) this.signal(name, 'SIGCONT')
    for (const proxy of this.#proxies.values()) proxy.heal(true)
    const servers = new Set(['postgres', 'nats', 'simulator'])
    await this.#supervisor.stop((name) => !servers.has(name))
    await this.#supervisor.stop((name) => name !== 'postgres' && servers.has(name))
    await this.#supervisor.stop((name) => name === 'postgres')
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy[Symbol.asyncDispose]()))
    await new Promise((resolve) => this.#log.end(resolve))
    process.off('exit', this.#endAtOnce)
    if (!process.env['KEEP']) rmSync(this.dir, { recursive: true, force: true })
  }
}
