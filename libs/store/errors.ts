/**
 * Whose fault an error of the store is: the data's (it would be refused again), or the server's and
 * the way to it (it passes). An error that is neither is a mistake of ours.
 */

interface StoreError {
  code?: string
  message?: string
  meta?: { driverAdapterError?: { cause?: { originalCode?: string; kind?: string } } }
  cause?: unknown
}

/** SQLSTATE, or Prisma's or the socket's own code, of an error of the store. */
function codesOf({ code, meta, cause }: StoreError): string[] {
  const own = cause as { originalCode?: string; kind?: string } | undefined
  const driver = meta?.driverAdapterError?.cause
  return [code, driver?.originalCode, driver?.kind, own?.originalCode, own?.kind].filter(
    (one) => typeof one === 'string',
  )
}

/** Prisma's own words for a record that is missing or in the way. */
const recordFaults = /^P(2000|2002|2003|2005|2006|2007|2011|2020|2023|2025)$/

/** Postgres refused the values themselves (SQLSTATE classes 22 and 23): it would do so again. */
export const isDataFault = (err: unknown): boolean =>
  codesOf(err as StoreError).some((code) => /^2[23]\w{3}$/.test(code) || recordFaults.test(code))

/**
 * SQLSTATE 55P03 (lock_timeout), 57014 (statement_timeout), 40P01 (deadlock): it met somebody who
 * stands in its way, and nothing of it was carried out.
 */
export const isLockFault = (err: unknown): boolean =>
  codesOf(err as StoreError).some((code) => ['55P03', '57014', '40P01'].includes(code))

/**
 * A database that cannot be reached, has no room, or ended the session: codes of Prisma and of
 * sockets (also where this process has no file or address left for one), kinds of Prisma's driver
 * adapter, SQLSTATE classes 08, 40, 53, 57, 58 (connection, rolled back, resources, intervention,
 * the system beneath), 25P02, 25P03 and 25P04 (time-outs of a transaction) and 55P03.
 */
const awayCodes =
  /^(P1000|P1001|P1002|P1008|P1017|P2024|P2028|P2034|P2037|E(CONN\w+|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOSTUNREACH|NETUNREACH|HOSTDOWN|NETDOWN|[MN]FILE|NOBUFS|ADDRNOTAVAIL)|08\w{3}|40\w{3}|53\w{3}|57\w{3}|58\w{3}|25P0[234]|55P03|ConnectionClosed|DatabaseNotReachable|SocketTimeout|TlsConnectionError|TooManyConnections|TransactionAlreadyClosed|TransactionWriteConflict)$/
/** node-postgres gives these no code: brianc/node-postgres, pg-pool/index.js, pg/lib/client.js. */
const awayWords = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'timeout exceeded when trying to connect',
  'timeout expired',
  'Query read timeout',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
])

/**
 * Whether a call failed because Postgres is away or in the way, not because of what was asked: it
 * may be asked again. Nothing is known of whether it was carried out.
 */
export function isOutage(err: unknown): boolean {
  const { message = '', cause } = err as StoreError
  if (codesOf(err as StoreError).some((code) => awayCodes.test(code)) || awayWords.has(message))
    return true
  return cause instanceof Error && isOutage(cause)
}
