/** Whose fault an error of the store is: the data's, or the server's and the way to it. */

interface StoreError {
  name?: string
  code?: string
  meta?: { driverAdapterError?: { cause?: { originalCode?: string } } }
}

/** Prisma's own words for a record that is missing or in the way. */
const recordFaults = new Set([
  'P2000',
  'P2002',
  'P2003',
  'P2005',
  'P2006',
  'P2007',
  'P2011',
  'P2020',
  'P2023',
  'P2025',
])
const network = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
])

/** Postgres refused the values themselves (SQLSTATE classes 22 and 23): it would do so again. */
export function isDataFault(err: unknown): boolean {
  const { code = '', meta } = err as StoreError
  return (
    /^2[23]/.test(meta?.driverAdapterError?.cause?.originalCode ?? '') || recordFaults.has(code)
  )
}

/** Any other error of Prisma's or of a socket says nothing of the data, and passes. */
export function isStoreOutage(err: unknown): boolean {
  const { name = '', code = '' } = err as StoreError
  return (
    (name.startsWith('PrismaClient') || name === 'DriverAdapterError' || network.has(code)) &&
    !isDataFault(err)
  )
}
