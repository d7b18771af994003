/**
 * An account's id comes of the key-encryption key, and is another after that was changed: what is
 * known of it goes over.
 */
import type { Database } from './connect.ts'

export interface AccountKey {
  accountId: string
  provider: string
}

type Statements = Pick<Database, '$executeRaw'>

/**
 * Where it is not known under this id, it begins as it was left under a former one, with what was
 * proven of it. Where it is, what an operator did last counts, under whichever id. Whether it is
 * another now.
 */
export async function inheritAccount(
  db: Statements,
  { accountId, provider }: AccountKey,
  formerIds: readonly string[],
): Promise<boolean> {
  const former = [...formerIds]
  await db.$executeRaw`
    INSERT INTO "AccountProof" ("accountId", provider)
    SELECT ${accountId} || substr(p."accountId", length(f.id) + 1), provider FROM unnest(${former}::text[]) AS f(id)
    JOIN "AccountProof" p ON p.provider = ${provider} AND (p."accountId" = f.id OR starts_with(p."accountId", f.id || '/'))
    ON CONFLICT DO NOTHING`
  const inherited = await db.$executeRaw`
    INSERT INTO "ProviderAccount" ("accountId", provider, host, "isOpen", held, reason, openings, "openedAt", "nextTryAt", "createsFullAt", acts)
    SELECT ${accountId}, provider, host, "isOpen", held, reason, openings, "openedAt", "nextTryAt", "createsFullAt", acts
    FROM "ProviderAccount" WHERE "accountId" = ANY(${former}::text[]) AND provider = ${provider} ORDER BY acts->0->>'at' DESC NULLS LAST, "usedAt" DESC LIMIT 1
    ON CONFLICT ("accountId", provider) DO UPDATE SET "isOpen" = excluded."isOpen", held = excluded.held, reason = excluded.reason,
      openings = excluded.openings, "openedAt" = excluded."openedAt", "nextTryAt" = excluded."nextTryAt", acts = excluded.acts
    WHERE excluded.acts->0->>'at' > coalesce("ProviderAccount".acts->0->>'at', '')`
  return inherited > 0
}

/** As above, with its places for tasks; nothing is left under the former ids. */
export const renameAccount = (
  db: Database,
  key: AccountKey,
  formerIds: readonly string[],
): Promise<void> =>
  db.$transaction(async (tx) => {
    const [{ accountId, provider }, former] = [key, [...formerIds]]
    await inheritAccount(tx, key, former)
    await tx.$executeRaw`
      WITH moved AS (DELETE FROM "ProviderTask" WHERE "accountId" = ANY(${former}::text[]) AND provider = ${provider} RETURNING *)
      INSERT INTO "ProviderTask" ("accountId", provider, "videoId", attempt)
      SELECT ${accountId}, provider, "videoId", attempt FROM moved ON CONFLICT DO NOTHING`
    await tx.$executeRaw`
      DELETE FROM "AccountProof" p USING unnest(${former}::text[]) AS f(id)
      WHERE p.provider = ${provider} AND (p."accountId" = f.id OR starts_with(p."accountId", f.id || '/'))`
    await tx.$executeRaw`
      DELETE FROM "ProviderAccount" WHERE "accountId" = ANY(${former}::text[]) AND provider = ${provider}`
  })
