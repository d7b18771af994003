/**
 * The whole system as `npm start` runs it, in a directory of its own, driven and judged from
 * outside.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { NatsUser } from '#libs/bus/permissions.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import { urlFor } from '#services/dev/servers/passwords.ts'
import type { Secrets } from '#services/dev/state.ts'

export interface Dev {
  gatewayUrl: string
  apiKey: string
  natsUrl: string
  databaseUrl: string
  simulatorUrl: string
  userId: string
  projectId: string
  scriptId: string
  sceneIds: string[]
  processes: { name: string; pid: number }[]
}

export interface LedgerRow {
  provider: string
  client_business_id: string
  task_id: string
  prompt: string
  status: string
  created_at: string
  finished_at: string | null
}

const entry = fileURLToPath(new URL('../../services/dev/start.ts', import.meta.url))

export const pause = (ms: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, Math.max(0, ms)))

/** How much longer everything takes while more processes want to run than there are cores. */
const slowness = () => Math.min(4, Math.max(1, (loadavg()[0] ?? 0) / 2 / availableParallelism()))

/** Of a time in which this process stood still, not more than this counts. */
const longestStepMs = 5_000

/**
 * Waits until `probe` gives something other than undefined; errors count as not yet. On a machine
 * under load it waits up to four times as long; while it stands still no time passes.
 */
export async function until<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 60_000,
): Promise<T> {
  const from = performance.now()
  let last: unknown
  let countedMs = 0
  for (let at = from; countedMs < timeoutMs * slowness();) {
    try {
      const found = await probe()
      if (found !== undefined) return found
    } catch (err) {
      last = err
    }
    await pause(100)
    const now = performance.now()
    countedMs += Math.min(longestStepMs, now - at)
    at = now
  }
  const waitedMs = Math.round(performance.now() - from)
  throw new Error(`waited ${waitedMs} ms in vain for ${what}`, { cause: last })
}

export class System implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), 'reelkeeper-test-'))
  output = ''
  #child: ChildProcess | undefined
  #stopped: Promise<number | null> | undefined
  #env: NodeJS.ProcessEnv

  constructor(env: NodeJS.ProcessEnv = {}) {
    chmodSync(this.dir, 0o755)
    this.#env = env
  }

  /** `env`: for this start alone. */
  async start(args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<void> {
    this.output = ''
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', entry, ...args],
      {
        cwd: this.dir,
        // a machine that is busy with other tests is no reason to refuse
        env: { ...process.env, PORT: '0', MAX_EVENT_LOOP_DELAY_MS: '10000', ...this.#env, ...env },
        // it ends by itself when we are gone, however that comes
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      },
    )
    this.#child = child
    this.#stopped = undefined
    for (const stream of [child.stdout, child.stderr])
      stream?.on(
        'data',
        (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-2_000_000)),
      )
    await until(
      'the system to be ready',
      () => {
        if (child.exitCode !== null) throw new Error(this.output)
        return /Reelkeeper(’s servers are| is) ready/.test(this.output) || undefined
      },
      90_000,
    ).catch((err: unknown) => {
      throw new Error(this.output.slice(-3_000), { cause: err })
    })
  }

  /** As Ctrl-C would, once; the exit code. */
  stop(): Promise<number | null> {
    return (this.#stopped ??= this.#stop())
  }

  async #stop(): Promise<number | null> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null
    const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
    child.kill('SIGINT')
    return exited
  }

  get dev(): Dev {
    return JSON.parse(readFileSync(join(this.dir, '.reelkeeper/dev.json'), 'utf8')) as Dev
  }

  /**
   * Past every restriction: Postgres as superuser. NATS as each user, `operator` unless another is
   * named.
   */
  get internal() {
    const secrets = JSON.parse(
      readFileSync(join(this.dir, '.reelkeeper/secrets.json'), 'utf8'),
    ) as Secrets
    const natsAs = (user: NatsUser) => urlFor(this.dev.natsUrl, user, secrets.natsSecret)
    const postgresAs = (role: string) => urlFor(this.dev.databaseUrl, role, secrets.postgresSecret)
    return {
      databaseUrl: postgresAs('postgres'),
      postgresAs,
      natsUrl: natsAs('operator'),
      natsAs,
    }
  }

  /** What the operator's command line is run with. */
  get operatorEnv(): NodeJS.ProcessEnv {
    return { ...process.env, DATABASE_URL: this.internal.postgresAs('reelkeeper_operator') }
  }

  get hasDevJson(): boolean {
    return existsSync(join(this.dir, '.reelkeeper/dev.json'))
  }

  pid(name: string): number {
    return this.dev.processes.find((one) => one.name === name)?.pid ?? 0
  }

  /** SIGKILL, and wait until dev.json names its successor. */
  async kill9(name: string): Promise<void> {
    const pid = this.pid(name)
    process.kill(pid, 'SIGKILL')
    await until(
      `${name} to be started again`,
      () => (this.pid(name) !== pid && this.pid(name) > 0) || undefined,
    )
  }

  async api(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const { gatewayUrl, apiKey } = this.dev
    const response = await fetch(gatewayUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${apiKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, unknown>,
    }
  }

  generatePath(scene = 0): string {
    const { projectId, scriptId, sceneIds } = this.dev
    return `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[scene]}/generate-video`
  }

  /** The id of an accepted video; asked for again, under the same key, while all are busy. */
  async submit(body: object = {}, path = this.generatePath()): Promise<string> {
    const key = { 'idempotency-key': crypto.randomUUID() }
    const answer = await until('a submission to be answered', async () => {
      const got = await this.api('POST', path, body, key)
      return got.status === 503 || got.status === 409 ? undefined : got
    })
    if (answer.status !== 202) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`)
    return String(answer.body['id'])
  }

  async video(id: string): Promise<SceneVideo> {
    const { status, body } = await this.api('GET', `/api/scene-videos/${id}`)
    if (status !== 200) throw new Error(`${status} for ${id}`)
    return body as unknown as SceneVideo
  }

  async simulate(settings: unknown): Promise<void> {
    const response = await fetch(`${this.dev.simulatorUrl}/settings`, {
      method: 'PUT',
      body: JSON.stringify(settings),
    })
    if (!response.ok) throw new Error(await response.text())
  }

  async ledger(): Promise<LedgerRow[]> {
    const response = await fetch(`${this.dev.simulatorUrl}/ledger`)
    return ((await response.json()) as { tasks: LedgerRow[] }).tasks
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
