/** What is asked of a cluster's servers past every proxy: by its judge, and by an operator. */
import { randomBytes } from 'node:crypto'
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { credentials } from '#services/dev/credentials.ts'
import { inherited } from './config.ts'

const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

export class Servers {
  readonly ports = { postgres: 0, nats: 0, simulator: 0 }
  readonly secrets = {
    natsSecret: randomBytes(24).toString('base64url'),
    postgresSecret: randomBytes(24).toString('base64url'),
  }
  databaseUrl = ''

  get credentials() {
    return credentials(this.ports, this.secrets)
  }

  get natsUrl(): string {
    return this.credentials.tool.natsUrl
  }

  get simulatorUrl(): string {
    return `http://127.0.0.1:${this.ports.simulator}`
  }

  async simulator<T>(path: string, body?: unknown): Promise<T> {
    const response = await fetch(
      this.simulatorUrl + path,
      body === undefined ? {} : { method: 'PUT', body: JSON.stringify(body) },
    )
    if (!response.ok) throw new Error(await response.text())
    return (await response.json()) as T
  }

  /** The operator's command; what it printed. @throws when it fails */
  readonly operate = async (...args: string[]): Promise<string> => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', cli, ...args], {
      env: { ...inherited, ...this.credentials.operator },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve))
    if (code !== 0) throw new Error(`${args.join(' ')}: ${output}`)
    return output
  }

  /** Asks Postgres itself. */
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
}
