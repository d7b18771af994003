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
import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import { seedDemo } from '#services/dev/seed.ts'
import { migrate } from '#libs/store/migrate.ts'
import { startService, Supervisor } from '#services/dev/supervisor.ts'
import { endsWithUs } from '../support/ending.ts'
import { until } from '../support/system.ts'
import { Proxies, type Proxy, type Server } from './proxy.ts'
import { send } from './processes.ts'
import { Servers } from './servers.ts'
import { settingsOf } from './config.ts'
import { asker, makeTenant, type Tenant } from '../support/tenant.ts'

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
  /** Where NATS keeps its files, and the archivers theirs. */
  natsDir?: string
  filesDir?: string
}

const main = (directory: string) =>
  fileURLToPath(new URL(`../../services/${directory}/main.ts`, import.meta.url))
const skew = fileURLToPath(new URL('skew.mjs', import.meta.url))
const apiKey = `rk_chaos_${randomBytes(24).toString('base64url')}`

export class Cluster extends Servers implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'reelkeeper-chaos-'))
  readonly crashPoints = join(this.dir, 'crash-points')
  readonly #options: ClusterOptions
  readonly #log: WriteStream
  readonly #supervisor: Supervisor
  readonly #stopped = new Set<number>()
  readonly #gates = new Map<string, Promise<void>>()
  readonly #proxies: Proxies
  readonly gateways: string[] = []
  readonly services: string[] = []
  /** The first one's videos go to the provider account of the settings. */
  readonly tenants: Tenant[] = []
  pollers = 0
  #run!: (name: string, directory: string, more?: Record<string, string>) => Promise<void>

  private constructor(options: ClusterOptions) {
    super()
    this.#options = options
    this.#proxies = new Proxies(options.proxied ? this.ports : {})
    chmodSync(this.dir, 0o755)
    mkdirSync(this.crashPoints)
    this.#log = createWriteStream(join(this.dir, 'log.txt'))
    this.#supervisor = new Supervisor(
      () => {},
      (line) => void this.#log.write(`${line}\n`),
    )
    process.once('exit', this.#endAtOnce)
  }

  /** Nothing outlives the process that asked for it, however that ends. */
  readonly #endAtOnce = () => {
    for (const pid of this.#stopped) send(pid, 'SIGCONT')
    for (const { name } of this.#supervisor.processes()) this.signal(name, 'SIGKILL')
    if (!process.env['KEEP']) rmSync(this.dir, { recursive: true, force: true })
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = await endsWithUs(async () => new Cluster(options))
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
      this.ports[name] = await freePort()
    const ports = this.ports
    await this.#supervisor.run('postgres', async () => {
      await this.#gates.get('postgres')
      const server = await startPostgres({
        dir: this.postgresDir,
        port: ports.postgres,
        secret: this.secrets.postgresSecret,
      })
      this.databaseUrl = server.url
      return server
    })
    await this.#supervisor.run('nats', async () => {
      await this.#gates.get('nats')
      return startNats({ dir: this.natsDir, port: ports.nats, secret: this.secrets.natsSecret })
    })
    await migrate(this.credentials.owner)
    const demo = await seedDemo(this.databaseUrl, apiKey)
    const common = settingsOf(this, env)
    this.#run = async (name, directory, more = {}) => {
      const skewMs = Math.round((this.#options.random() * 2 - 1) * (this.#options.skewMs ?? 0))
      const own = {
        ...common,
        ...(await this.#proxies.before(name, this.credentials.service(directory))),
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
    for (let n = 1; n <= others; n++) await run(`archiver-${n}`, 'archiver')
    for (let n = 1; n <= pollers; n++) await this.addPoller()
    for (let n = 1; n <= others; n++) {
      const port = await freePort()
      this.gateways.push(`http://127.0.0.1:${port}`)
      await run(`gateway-${n}`, 'gateway', { PORT: String(port), HOST: '127.0.0.1' })
    }
    await this.ready()
    this.tenants.push({ name: 'demo', demo, api: asker(this.gateways, apiKey) })
  }

  /** Another user, with a provider account of its own at `baseUrl`. */
  async addTenant(name: string, baseUrl: string): Promise<Tenant> {
    const tenant = await makeTenant(this, name, baseUrl)
    this.tenants.push(tenant)
    return tenant
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
  get filesDir(): string {
    return this.#options.filesDir ?? join(this.dir, 'files')
  }

  get logFile(): string {
    return join(this.dir, 'log.txt')
  }

  proxy(name: string, server: Server): Proxy | undefined {
    return this.#proxies.of(name, server)
  }

  /** Every gateway is ready. */
  async ready(timeoutMs = 60_000): Promise<void> {
    for (const url of this.gateways)
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
    for (const pid of pids) this.#stopped.add(pid)
    for (const pid of pids) send(pid, 'SIGSTOP')
    return () => {
      for (const pid of pids) send(pid, 'SIGCONT')
      for (const pid of pids) this.#stopped.delete(pid)
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

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#stopped) send(pid, 'SIGCONT')
    for (const { pid, name } of this.#supervisor.processes())
      if (pid > 0) this.signal(name, 'SIGCONT')
    this.#proxies.heal()
    const servers = new Set(['postgres', 'nats', 'simulator'])
    await this.#supervisor.stop((name) => !servers.has(name))
    await this.#supervisor.stop((name) => name !== 'postgres' && servers.has(name))
    await this.#supervisor.stop((name) => name === 'postgres')
    await this.#proxies[Symbol.asyncDispose]()
    await new Promise((resolve) => this.#log.end(resolve))
    process.off('exit', this.#endAtOnce)
    if (!process.env['KEEP']) rmSync(this.dir, { recursive: true, force: true })
  }
}
