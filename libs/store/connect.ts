import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.ts'

export type Database = PrismaClient

/** What a class offers, without what it hides: somebody else may offer the same. */
export type Public<T> = { [K in keyof T]: T[K] }

/** Opens a pool of at most `max` connections. A statement may take 15 s, getting a connection 5 s; then it fails. */
export function openDatabase(connectionString: string, max = 8): Database {
  const adapter = new PrismaPg({ connectionString, max, connectionTimeoutMillis: 5_000, statement_timeout: 15_000, query_timeout: 20_000, keepAlive: true })
  return new PrismaClient({ adapter })
}

/** Whether Postgres answers. */
export async function isReachable(database: Database): Promise<boolean> {
  await database.$queryRaw`SELECT 1`
  return true
}
