/** Everything a measurement needs, real and of its own: Postgres, nats-server, the provider, in a directory that goes away with it. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startNats } from '#libs/local/nats-server.ts'
import { freePort } from '#libs/local/ports.ts'
import { startPostgres } from '#libs/local/postgres.ts'
import type { LocalServer } from '#libs/local/server-process.ts'
import { encrypt } from '#libs/runtime/secrets.ts'
import { seedDemo, type Demo } from '#libs/store/demo.ts'
import { migrate } from '#libs/store/migrate.ts'
import { cpuOfTree, Worker } from './processes.ts'
import { taskId } from './provider.ts'

const key = Buffer.alloc(32, 7)

/** How the tasks of a measurement go: ending evenly between two instants, progress told in steps of so many per cent, all of one length. */
export interface Tasks {
  count: number
  /** Seconds from now. */
  endFrom: number
  endTo: number
  step: number
}

export const taskOf = ({ count, endFrom, endTo, step }: Tasks, now: number, n: number): string => {
  const endsAt = now + 1000 * (endFrom + ((endTo - endFrom) * n) / count)
  return taskId(endsAt - 1000 * Math.max(1, endTo - endFrom), endsAt, step, n)
}

export class Lab implements AsyncDisposable {
  readonly dir: string
  readonly postgres: LocalServer
  readonly nats: LocalServer
  readonly provider: Worker
  readonly providerUrl: string
  readonly pool: pg.Pool
  readonly demo: Demo

  private constructor(parts: Pick<Lab, 'dir' | 'postgres' | 'nats' | 'provider' | 'providerUrl' | 'pool' | 'demo'>) {
    this.dir = parts.dir
    this.postgres = parts.postgres
    this.nats = parts.nats
    this.provider = parts.provider
    this.providerUrl = parts.providerUrl
    this.pool = parts.pool
    this.demo = parts.demo
  }

  static async open(): Promise<Lab> {
    const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-bench-'))
    chmodSync(dir, 0o755)
    const postgres = await startPostgres({ dir: join(dir, 'postgres') })
    await migrate(postgres.url)
    const nats = await startNats({ dir: join(dir, 'nats') })
    const demo = await seedDemo(postgres.url, `rk_bench_${'x'.repeat(40)}`)
    const port = await freePort()
    const provider = await new Worker('provider.ts', { PROVIDER_PORT: String(port) }).ready()
    const lab = new Lab({ dir, postgres, nats, provider, providerUrl: `http://127.0.0.1:${port}`, pool: new pg.Pool({ connectionString: postgres.url, max: 3 }), demo })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void lab[Symbol.asyncDispose]().finally(() => process.exit(130)))
    return lab
  }

  /** The settings of our services. */
  env(more: Record<string, string> = {}): Record<string, string> {
    return {
      DATABASE_URL: this.postgres.url, NATS_URL: this.nats.url, KEY_ENCRYPTION_KEY: key.toString('base64'), HEALTH_HOST: '127.0.0.1',
      TOAPIS_BASE_URL: `${this.providerUrl}/v1`, TOAPIS_API_KEY: 'sk-bench', QUERY_PER_SECOND: '1000000', QUERY_BURST: '1000000', ...more,
    }
  }

  service(name: 'poller' | 'status' | 'reconciler' | 'submit', more: Record<string, string> = {}): Promise<Worker> {
    return new Worker('service.ts', this.env({ POLLER_NAME: name, ...more }), [name]).ready()
  }

  /** Videos whose tasks run at the provider already; what the reconciler finds and hands to the pollers. Their ids. */
  async addVideos(tasks: Tasks): Promise<string[]> {
    const now = Date.now()
    return this.addVideosFor(Array.from({ length: tasks.count }, (_, n) => taskOf(tasks, now, n)))
  }

  async addVideosFor(tasks: string[]): Promise<string[]> {
    const ciphers = tasks.map(() => encrypt('sk-bench', [key]))
    const { userId, projectId, scriptId, sceneIds } = this.demo
    const { rows } = await this.pool.query<{ id: string }>(
      `WITH v AS (INSERT INTO "SceneVideo" (id, "sceneId", "scriptId", "projectId", "userId", status, phase, provider, model, prompt, "taskId", version, "submittedAt")
         SELECT gen_random_uuid(), $1, $2, $3, $4, 'pending', 'submitted', 'toapis', 'bench', 'bench', task, 2, now() FROM unnest($5::text[]) AS task RETURNING id, "taskId"),
       s AS (INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher", answer, "taskId")
         SELECT v.id, 1, 1, 'toapis', $6, t.cipher, 'accepted', v."taskId" FROM v JOIN unnest($5::text[], $7::text[]) AS t(task, cipher) ON t.task = v."taskId")
       SELECT id FROM v`, [sceneIds[0], scriptId, projectId, userId, tasks, `${this.providerUrl}/v1`, ciphers])
    return rows.map((row) => row.id)
  }

  async providerCalls(): Promise<number> {
    return Number(await (await fetch(`${this.providerUrl}/calls`)).text())
  }

  /** CPU of the servers, in ms; their rows and transactions written. */
  async servers(): Promise<{ postgresMs: number; natsMs: number; rows: number; transactions: number }> {
    const { rows } = await this.pool.query<{ written: string; commits: string }>(
      'SELECT pg_stat_clear_snapshot(), tup_inserted + tup_updated + tup_deleted AS written, xact_commit AS commits FROM pg_stat_database WHERE datname = current_database()')
    return { postgresMs: cpuOfTree(this.postgres.pid), natsMs: cpuOfTree(this.nats.pid), rows: Number(rows[0]!.written), transactions: Number(rows[0]!.commits) }
  }

  async clear(): Promise<void> {
    await this.pool.query('TRUNCATE "Timeline", "Submission", "SceneVideo" CASCADE')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.provider[Symbol.asyncDispose]()
    await this.pool.end()
    await this.nats.stop()
    await this.postgres.stop()
    rmSync(this.dir, { recursive: true, force: true })
  }
}

/** The counter or gauge of a service's /metrics, all labels together. */
export async function metric(healthPort: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text()
  return [...text.matchAll(new RegExp(`^reelkeeper_${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce((sum, [, value]) => sum + Number(value), 0)
}
