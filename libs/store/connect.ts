import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.ts'

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
 * Opens a pool of at most `max` connections. A statement or a transaction may take 15 s, getting a
 * connection 5 s; then it fails.
 */
export function openDatabase(connectionString: string, max = 8): Database {
  const pool = {
    connectionString,
    max,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 15_000,
    query_timeout: 20_000,
    keepAlive: true,
  }
  const adapter = new PrismaPg(pool, { statementNameGenerator: statementNames() })
  return new PrismaClient({ adapter, transactionOptions: { maxWait: 5_000, timeout: 15_000 } })
}

/** Whether Postgres answers. */
export async function isReachable(database: Database): Promise<boolean> {
  await database.$queryRaw`SELECT 1`
  return true
}

/**
 * Prisma's codes for a database that cannot be reached or has no room, and SQLSTATE classes 08, 53,
 * 57 (connection, resources, intervention).
 */
const awayCodes =
  /^(P1000|P1001|P1002|P1008|P1017|P2024|P2028|P2037|ECONN\w+|EPIPE|ETIMEDOUT|08\w{3}|53\w{3}|57\w{3})$/
/**
 * node-postgres gives these no code: brianc/node-postgres, pg-pool/index.js and pg/lib/client.js.
 */
const awayWords = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
  'Client has encountered a connection error and is not queryable',
])

/**
 * Whether a call failed because Postgres is away, not because of what was asked. Nothing is known
 * of whether it was carried out.
 */
export function isDatabaseAway(err: unknown): boolean {
  const {
    code,
    message = '',
    meta,
    cause,
  } = err as {
    code?: string
    message?: string
    meta?: { driverAdapterError?: { cause?: { originalCode?: string } } }
    cause?: unknown
  }
  const original = meta?.driverAdapterError?.cause?.originalCode
  if (
    [code, original].some((one) => typeof one === 'string' && awayCodes.test(one)) ||
    awayWords.has(message)
  )
    return true
  return cause instanceof Error && isDatabaseAway(cause)
}
