/**
 * Everything a measurement needs, real and of its own: Postgres, nats-server, the provider, in a
 * directory that goes away with it.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startNats } from '#services/dev/servers/nats-server.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { encrypt } from '#libs/runtime/secrets.ts'
import { seedDemo, type Demo } from '#services/dev/seed.ts'
import { migrate } from '#libs/store/migrate.ts'
import { endsWithUs } from '../../test/support/ending.ts'
import { cpuOfTree, Worker } from './processes.ts'
import type { Counts } from './provider.ts'

const key = Buffer.alloc(32, 7)
const mostAtOnce = 10_000

interface Parts {
  dir: string
  postgres: LocalServer
  nats: LocalServer
  provider: Worker
  providerUrl: string
  pool: pg.Pool
  demo: Demo
  settings: Record<string, string>
  ending: AsyncDisposableStack
}

export class Lab implements AsyncDisposable {
  readonly dir: string
  readonly postgres: LocalServer
  readonly nats: LocalServer
  readonly provider: Worker
  readonly providerUrl: string
  readonly pool: pg.Pool
  readonly demo: Demo
  readonly #settings: Record<string, string>
  readonly #ending: AsyncDisposableStack

  private constructor(parts: Parts) {
    this.dir = parts.dir
    this.postgres = parts.postgres
    this.nats = parts.nats
    this.provider = parts.provider
    this.providerUrl = parts.providerUrl
    this.pool = parts.pool
    this.demo = parts.demo
    this.#settings = parts.settings
    this.#ending = parts.ending
  }

  /** Its services get these settings, too. */
  static open(settings: Record<string, string> = {}): Promise<Lab> {
    return endsWithUs(() => Lab.#open(settings))
  }

  static async #open(settings: Record<string, string>): Promise<Lab> {
    await using starting = new AsyncDisposableStack()
    const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-bench-'))
    starting.defer(() => rmSync(dir, { recursive: true, force: true }))
    chmodSync(dir, 0o755)
    const postgres = starting.use(await startPostgres({ dir: join(dir, 'postgres') }))
    await migrate(postgres.url)
    const nats = starting.use(await startNats({ dir: join(dir, 'nats') }))
    const demo = await seedDemo(postgres.url, `rk_bench_${'x'.repeat(40)}`)
    const port = await freePort()
    const provider = starting.use(
      await new Worker('provider.ts', { PROVIDER_PORT: String(port) }).ready(),
    )
    const pool = new pg.Pool({ connectionString: postgres.url, max: 3 })
    pool.on('error', () => {}) // a server that is stopped ends idle connections
    starting.defer(() => pool.end())
    return new Lab({
      dir,
      postgres,
      nats,
      provider,
      providerUrl: `http://127.0.0.1:${port}`,
      pool,
      demo,
      settings,
      ending: starting.move(),
    })
  }

  /** The settings of our services. */
  env(more: Record<string, string> = {}): Record<string, string> {
    return {
      DATABASE_URL: this.postgres.url,
      NATS_URL: this.nats.url,
      KEY_ENCRYPTION_KEY: key.toString('base64'),
      HEALTH_HOST: '127.0.0.1',
      TOAPIS_BASE_URL: `${this.providerUrl}/v1`,
      TOAPIS_API_KEY: 'sk-bench',
      QUERY_PER_SECOND: '1000000',
      QUERY_BURST: '1000000',
      ...this.#settings,
      ...more,
    }
  }

  service(
    name: 'poller' | 'status' | 'reconciler' | 'submit' | 'archiver',
    more: Record<string, string> = {},
  ): Promise<Worker> {
    return new Worker('service.ts', this.env({ POLLER_NAME: name, ...more }), [name]).ready()
  }

  /** Starts the clock of the tasks; when that was, in ms of the Unix epoch. */
  begin(): Promise<number> {
    return this.provider.ask<number>('begin')
  }

  counts(): Promise<Counts> {
    return this.provider.ask<Counts>('counts')
  }

  /**
   * Videos whose tasks run at the provider already; what the reconciler finds and hands to the
   * pollers. Their ids.
   */
  async addVideos(tasks: string[]): Promise<string[]> {
    const ids: string[] = []
    for (let from = 0; from < tasks.length; from += mostAtOnce)
      ids.push(...(await this.#addSome(tasks.slice(from, from + mostAtOnce))))
    return ids
  }

  async #addSome(tasks: string[]): Promise<string[]> {
    const ciphers = tasks.map(() => encrypt('sk-bench', [key]))
    const { userId, projectId, scriptId, sceneIds } = this.demo
    const { rows } = await this.pool.query<{ id: string }>(
      `WITH v AS (INSERT INTO "SceneVideo" (id, "sceneId", "scriptId", "projectId", "userId", status, phase, provider, model, prompt, "taskId", version, "submittedAt")
         SELECT gen_random_uuid(), $1, $2, $3, $4, 'pending', 'submitted', 'toapis', 'bench', 'bench', task, 2, now() FROM unnest($5::text[]) AS task RETURNING id, "taskId"),
       s AS (INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher", answer, "taskId")
         SELECT v.id, 1, 1, 'toapis', $6, t.cipher, 'accepted', v."taskId" FROM v JOIN unnest($5::text[], $7::text[]) AS t(task, cipher) ON t.task = v."taskId")
       SELECT id FROM v`,
      [sceneIds[0], scriptId, projectId, userId, tasks, `${this.providerUrl}/v1`, ciphers],
    )
    return rows.map((row) => row.id)
  }

  /**
   * CPU of the servers, in ms. Transactions that wrote, exactly; and rows written, which Postgres
   * learns of up to 12 s late from a connection that falls idle.
   */
  async servers(): Promise<{
    postgresMs: number
    natsMs: number
    rows: number
    transactions: number
  }> {
    const { rows } = await this.pool.query<{ rows: string; transactions: string }>(
      'SELECT tup_inserted + tup_updated + tup_deleted AS rows, pg_snapshot_xmax(pg_current_snapshot()) AS transactions FROM pg_stat_database WHERE datname = current_database()',
    )
    return {
      postgresMs: cpuOfTree(this.postgres.pid),
      natsMs: cpuOfTree(this.nats.pid),
      rows: Number(rows[0]!.rows),
      transactions: Number(rows[0]!.transactions),
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#ending.disposeAsync()
  }
}

/** The counter or gauge of a service's /metrics, all labels together. */
export async function metric(healthPort: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text()
  return [...text.matchAll(new RegExp(`^reelkeeper_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  )
}
