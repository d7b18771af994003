import { PrismaPg } from '@prisma/adapter-pg'
import pg from 'pg'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { isOutage } from './errors.ts'
import { PrismaClient } from './generated/client.ts'
import { waitForMigrations } from './migrated.ts'
import { SharedPool } from './shared-pool.ts'

export type Database = PrismaClient

/** What a class offers, without what it hides: somebody else may offer the same. */
export type InterfaceOf<T> = { [K in keyof T]: T[K] }

/**
 * Statements that Postgres keeps prepared on a connection; lists of ids make more texts than that.
 */
const mostPrepared = 200

/**
 * Names statements so that Postgres parses and plans each once per connection: planning one of the
 * larger ones takes longer than carrying it out.
 */
function statementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>()
  return ({ sql }) => {
    const known = names.get(sql)
    if (known !== undefined || names.size >= mostPrepared) return known ?? '' // the empty name is Postgres' own for a statement that is not kept
    const name = `s${names.size}`
    names.set(sql, name)
    return name
  }
}

/**
 * What every session is told when it is opened. Recorded instants are UTC whatever the database's
 * own zone is. A peer that is gone without a word is found within 25 s, and its locks with it.
 */
const sessionSettings = [
  'TimeZone=UTC',
  'tcp_keepalives_idle=10',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=3',
]

/**
 * For reading by what people ask: one user has ten videos and another a million, and what is the
 * best plan for an average user is a hundred times too slow for the latter.
 */
export const plannedForEach = ['plan_cache_mode=force_custom_plan']

const connectMs = 5_000

/** Opening a connection has an end of its own; pg.Pool's covers waiting for a turn as well. */
class Client extends pg.Client {
  constructor(config: pg.ClientConfig = {}) {
    super({ ...config, connectionTimeoutMillis: connectMs })
  }
}

/**
 * Opens a pool of at most `max` connections. A statement or a transaction may take 15 s, opening a
 * connection 5 s, waiting for a lock 2 s; then it fails. A transaction whose process says nothing
 * for 5 s is ended, so that a process that stands still holds no row for longer. While all
 * connections are in use a statement waits for its turn, first come first served, for as long as it
 * takes. With `waitMs` it waits for no longer than that, and users share them: see shared-pool.ts.
 * `settings` are told to each session.
 */
export function openDatabase(
  connectionString: string,
  max = 8,
  waitMs = 0,
  settings: string[] = [],
): Database {
  const config = {
    connectionString,
    max,
    // opening one costs as much as ten looks of an idle service: the last one stays open
    min: 1,
    Client,
    // rule: a full pool is waited for
    connectionTimeoutMillis: 0,
    statement_timeout: 15_000,
    lock_timeout: 2_000,
    idle_in_transaction_session_timeout: 5_000,
    query_timeout: 20_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    options: [...sessionSettings, ...settings].map((setting) => `-c ${setting}`).join(' '),
  }
  const pool = waitMs ? new SharedPool(config, waitMs) : new pg.Pool(config)
  // A session may end at any moment, also while it passes from the pool to whoever asked for it and
  // nobody listens: an error event without a listener ends the process. Its next use fails anyway.
  // rule: the end of a session ends no process
  pool.on('connect', (client) => client.on('error', () => {}))
  const adapter = new PrismaPg(pool, {
    statementNameGenerator: statementNames(),
    disposeExternalPool: true,
  })
  return new PrismaClient({ adapter, transactionOptions: { maxWait: 5_000, timeout: 15_000 } })
}

/** Whether Postgres answers. */
export async function isReachable(database: Database): Promise<boolean> {
  await database.$queryRaw`SELECT 1`
  return true
}

/** `RETURNING old.…, new.…` came with it. */
const oldestServer = 18

/** @throws when Postgres is too old for the statements of this folder */
export async function requirePostgresVersion(database: Database): Promise<void> {
  const rows = await database.$queryRaw<
    { version: string }[]
  >`SELECT current_setting('server_version') AS version`
  const { version } = rows[0]!
  if (parseInt(version, 10) < oldestServer)
    throw new Error(`Postgres ${version} is too old: Reelkeeper needs ${oldestServer} or later`)
}

const tryAgainMs = 500

/**
 * Waits for Postgres and its migrations however long it takes, and says so every few seconds.
 * Throws when it is too old, and when the signal aborts.
 */
export async function waitForDatabase(
  database: Database,
  log: Logger,
  signal?: AbortSignal,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted()
    try {
      await requirePostgresVersion(database)
      return await waitForMigrations(database, log, signal)
    } catch (err) {
      if (!isOutage(err)) throw err
      if (tries % 20 === 2) log.warn({ err }, 'waiting for Postgres')
      await sleep(tryAgainMs, signal)
    }
  }
}
