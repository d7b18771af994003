/**
 * Files that were given up, for an operator who knows better: the limit was raised, or the
 * provider's store has come back.
 */
import type { Database } from './connect.ts'

export interface LostFile {
  id: string
  provider: string
  reason: string | null
  /** When the link dies or died; null where nobody said. */
  expiresAt: Date | null
}

export class LostFiles {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Those after this video's, in the order of ids. */
  async list(after: string | null, limit: number): Promise<LostFile[]> {
    return this.#db.$queryRaw<LostFile[]>`
      SELECT f."videoId" AS id, v.provider, f."lastError" AS reason, f."expiresAt"
      FROM "File" f JOIN "SceneVideo" v ON v.id = f."videoId"
      WHERE f.state = 'lost' AND (${after}::uuid IS NULL OR f."videoId" > ${after}::uuid)
      ORDER BY f."videoId" LIMIT ${limit}::int`
  }

  /**
   * They wait for the archiver again as if they were new; the ids of those that were lost. The
   * archiver looks for them within fifteen seconds.
   */
  async retry(ids: string[], by: string): Promise<string[]> {
    const rows = await this.#db.$queryRaw<{ id: string }[]>`
      WITH again AS (
        UPDATE "File" SET state = 'waiting', tries = 0, "lastError" = NULL, "claimedUntil" = NULL,
          "createdAt" = now(), "nextTryAt" = now()
        WHERE state = 'lost' AND "videoId" = ANY(${ids}::uuid[]) RETURNING "videoId"
      ), told AS (
        UPDATE "SceneVideo" v SET file = NULL FROM again WHERE v.id = again."videoId" RETURNING v.*
      ), noted AS (
        INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service, detail)
        SELECT t.id, t.version, t.attempt, 'file_retried', t.status, t.phase, t.progress, 'operator',
          jsonb_build_object('by', ${by}::text) FROM told t
      )
      SELECT id FROM told ORDER BY id`
    return rows.map(({ id }) => id)
  }
}
