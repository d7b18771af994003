/** What is asked of a cluster's servers past every proxy: by its judge, and by an operator. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { credentials } from '#services/dev/credentials.ts'
import { operate } from '../support/operate.ts'
import { inherited } from './config.ts'

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
  readonly operate = (...args: string[]): Promise<string> =>
    operate({ ...inherited, ...this.credentials.operator }, args)

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
