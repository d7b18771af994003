/**
 * Images that users sent to us. A row comes first (`incoming`), then the object, then `stored`; to
 * delete, the row says `removing`, the object goes, and the row after it: whoever dies between two
 * of these leaves a row that is found again, and no object without one.
 */
import type { Database } from './connect.ts'

export interface Upload {
  id: string
  /** Media type. */
  type: string
  bytes: number
  /** 32 bytes; signs its links. */
  linkSecret: Uint8Array
}

/** In the store of files. */
export const uploadKey = (id: string): string => `upload-${id}`

/** A use is written down no more often than this, in milliseconds. */
const useStepMs = 3_600_000

export class Uploads {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** False where the user has `most` already. What others begin at this moment is not counted. */
  async begin(
    userId: string,
    { id, linkSecret, most }: { id: string; linkSecret: Uint8Array; most: number },
  ): Promise<boolean> {
    const made = await this.#db.$executeRaw`
      INSERT INTO "Upload" (id, "userId", "linkSecret") SELECT ${id}::uuid, ${userId}::uuid, ${linkSecret}
      WHERE (SELECT count(*) FROM (SELECT 1 FROM "Upload" WHERE "userId" = ${userId}::uuid LIMIT ${most}::int) u) < ${most}::int`
    return made === 1
  }

  /** False where it was given up meanwhile. */
  async stored(id: string, { type, bytes }: { type: string; bytes: number }): Promise<boolean> {
    const changed = await this.#db.$executeRaw`
      UPDATE "Upload" SET state = 'stored', type = ${type}, bytes = ${bytes}::bigint, "usedAt" = now()
      WHERE id = ${id}::uuid AND state = 'incoming'`
    return changed === 1
  }

  /** Those of these that are this user's and can be used; from now on they are used for a day. */
  async use(userId: string, ids: readonly string[]): Promise<Upload[]> {
    // rule: a user uses no upload of another one
    const found = await this.#db.upload.findMany({
      where: { id: { in: [...ids] }, userId, state: 'stored' },
    })
    const since = useStepMs / 1_000
    const kept = await this.#db.$queryRaw<{ id: string }[]>`
      WITH used AS (
        UPDATE "Upload" SET "usedAt" = now() WHERE id = ANY(${found.map(({ id }) => id)}::uuid[]) AND state = 'stored'
          AND "usedAt" < now() - ${since}::int * interval '1 second' RETURNING id
      )
      SELECT id FROM used UNION SELECT id FROM "Upload" WHERE id = ANY(${found.map(({ id }) => id)}::uuid[]) AND state = 'stored'`
    const isKept = new Set(kept.map(({ id }) => id))
    return found
      .filter(({ id }) => isKept.has(id))
      .map(({ id, type, bytes, linkSecret }) => ({
        id,
        type: type ?? 'application/octet-stream',
        bytes: Number(bytes),
        linkSecret,
      }))
  }

  /** By its id alone: for whoever has a link. */
  async find(id: string): Promise<Upload | null> {
    const found = await this.#db.upload.findFirst({ where: { id, state: 'stored' } })
    return found && { ...found, type: found.type ?? '', bytes: Number(found.bytes) }
  }

  /** Marks up to `limit` that nobody used for `ms` for removal, and gives all that are marked. */
  async unused(ms: number, limit: number): Promise<string[]> {
    const rows = await this.#db.$queryRaw<{ id: string }[]>`
      WITH old AS (
        SELECT id FROM "Upload" WHERE "usedAt" < now() - ${ms}::bigint * interval '1 millisecond'
        ORDER BY "usedAt" LIMIT ${limit}::int FOR UPDATE SKIP LOCKED
      )
      UPDATE "Upload" u SET state = 'removing' FROM old WHERE u.id = old.id RETURNING u.id`
    return rows.map(({ id }) => id)
  }

  /** Their objects are gone; or nothing came. */
  async forget(ids: readonly string[]): Promise<void> {
    await this.#db
      .$executeRaw`DELETE FROM "Upload" WHERE id = ANY(${[...ids]}::uuid[]) AND state <> 'stored'`
  }
}
