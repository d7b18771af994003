/** Accounts at which recovery was seen to work: only there does absence count. */
import type { Database } from './connect.ts'

interface Account {
  accountId: string
  provider: string
}

/** By any of its ids: whether a task of it was ever seen to be found after its create. */
export const readProof = async (db: Database, ids: string[], provider: string): Promise<boolean> =>
  (await db.accountProof.count({ where: { accountId: { in: ids }, provider } })) > 0

export async function writeProof(db: Database, { accountId, provider }: Account): Promise<void> {
  await db.$executeRaw`
    INSERT INTO "AccountProof" ("accountId", provider) VALUES (${accountId}, ${provider}) ON CONFLICT DO NOTHING`
}
