/** Accounts at providers that nobody has used for long: what is kept of them goes. */
import type { Database } from './connect.ts'

/** Longer than any process goes without saying that it uses one, see `ProviderAccounts.know`. */
const unusedDays = 90

/**
 * Removes up to `limit`, with what was proven there; how many. Kept is what an operator holds or
 * did something to, what has an open circuit, and what has places for tasks taken. Who uses one
 * again makes it anew. Index: usedAt.
 */
export async function removeUnusedAccounts(db: Database, limit = 1_000): Promise<number> {
  return db.$executeRaw`
    WITH unused AS (
      DELETE FROM "ProviderAccount" WHERE ("accountId", provider) IN (
        SELECT a."accountId", a.provider FROM "ProviderAccount" a
        WHERE a."usedAt" < now() - ${unusedDays}::int * interval '1 day' AND NOT a."isOpen" AND a.held IS NULL AND a.acts = '[]'
          AND NOT EXISTS (SELECT 1 FROM "ProviderTask" t WHERE t."accountId" = a."accountId" AND t.provider = a.provider)
        ORDER BY a."usedAt" LIMIT ${limit}::int FOR UPDATE SKIP LOCKED
      ) RETURNING "accountId", provider
    ), proofs AS (
      DELETE FROM "AccountProof" p USING unused u WHERE p."accountId" = u."accountId" AND p.provider = u.provider
    )
    SELECT 1 FROM unused`
}
