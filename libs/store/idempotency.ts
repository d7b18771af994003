/**
 * Idempotency-Key, per user and route, for 24 h. The key is claimed in the transaction that does
 * the work, so either both are committed or neither is: a request that died half-way may be sent
 * again under its key.
 */
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import type { Prisma } from './generated/client.ts'
import { Refused } from '#libs/scene-video/refusals.ts'

/**
 * The id of what an earlier request under this key made or changed; null when this one is the
 * first, and `resultId` is what it will make or change.
 * @throws Refused `idempotency_key_in_use` while the first one is running,
 *   `idempotency_key_reused` for another body
 */
export async function claimIdempotencyKey(
  tx: Prisma.TransactionClient,
  userId: string,
  idempotencyKey: IdempotencyKey | null | undefined,
  resultId: string,
): Promise<string | null> {
  if (!idempotencyKey) return null
  const { key, route, bodyHash } = idempotencyKey
  const [lock] = await tx.$queryRaw<
    { taken: boolean }[]
  >`SELECT pg_try_advisory_xact_lock(hashtextextended(${`${userId} ${route} ${key}`}, 0)) AS taken`
  if (!lock?.taken) throw keyInUse()
  await tx.$executeRaw`DELETE FROM "IdempotencyKey" WHERE "userId" = ${userId}::uuid AND route = ${route} AND key = ${key} AND "createdAt" < now() - interval '24 hours'`
  const inserted = await tx.$executeRaw`
    INSERT INTO "IdempotencyKey" ("userId", key, route, "bodyHash", "resultId") VALUES (${userId}::uuid, ${key}, ${route}, ${bodyHash}, ${resultId}::uuid) ON CONFLICT DO NOTHING`
  if (inserted) return null
  return earlierUse(tx, userId, idempotencyKey)
}

/** What an earlier request under this key made or changed; null without one. @throws Refused */
export async function earlierUse(
  tx: Pick<Prisma.TransactionClient, '$queryRaw'>,
  userId: string,
  { key, route, bodyHash }: IdempotencyKey,
): Promise<string | null> {
  // an older one holds nothing any more, though its row may be there still
  const [first] = await tx.$queryRaw<{ bodyHash: string; resultId: string }[]>`
    SELECT "bodyHash", "resultId" FROM "IdempotencyKey"
    WHERE "userId" = ${userId}::uuid AND route = ${route} AND key = ${key} AND "createdAt" >= now() - interval '24 hours'`
  if (first && first.bodyHash !== bodyHash)
    throw new Refused(
      'idempotency_key_reused',
      'This Idempotency-Key was used with another body; use a new key for a new request.',
    )
  return first?.resultId ?? null
}

export const keyInUse = (): Refused =>
  new Refused(
    'idempotency_key_in_use',
    'The first request with this Idempotency-Key is still running; ask again shortly.',
  )
