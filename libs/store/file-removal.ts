/**
 * Removing kept files. The row says so first (`removing`), then the archiver removes the object and
 * the row says `removed`: whoever dies between the two leaves a row that is found again, and never
 * an object that a row still promises.
 */
import { withoutPreview, type PreviewKind } from '#libs/scene-video/video-file.ts'
import type { Database } from './connect.ts'
import type { Tx } from './video-row.ts'

/** A file that has an object in the store is removed; one that was never fetched is forgotten. */
export async function removeFileOf(tx: Tx, videoId: string, reason: string): Promise<void> {
  await tx.$executeRaw`
    WITH gone AS (
      UPDATE "File" SET state = CASE WHEN key IS NULL THEN 'removed' ELSE 'removing' END, url = '', "claimedUntil" = NULL
      WHERE "videoId" = ${videoId}::uuid AND state IN ('waiting', 'stored', 'lost') RETURNING "videoId"
    )
    UPDATE "SceneVideo" v SET file = jsonb_build_object('state', 'removed', 'reason', ${reason}::text)
    FROM gone WHERE v.id = gone."videoId"`
}

/** In bytes; null where there is no such picture. */
export interface PromisedFile extends Record<PreviewKind, number | null> {
  key: string
  bytes: number
}

export class FileRemoval {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Files whose object is to be removed. Index: File_removing_idx. */
  async removing(limit: number): Promise<{ videoId: string; key: string }[]> {
    return this.#db.$queryRaw`
      SELECT "videoId", key FROM "File" WHERE state = 'removing' ORDER BY "videoId" LIMIT ${limit}::int`
  }

  /** Their objects are removed. */
  async removed(videoIds: string[]): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "File" SET state = 'removed', key = NULL WHERE "videoId" = ANY(${videoIds}::uuid[]) AND state = 'removing'`
  }

  /**
   * How many files, with how many bytes, were kept longer than `days`, and are not to be kept.
   * Index: File_storedAt_idx.
   */
  async outdated(days: number): Promise<{ files: number; bytes: number }> {
    const [row] = await this.#db.$queryRaw<{ files: number; bytes: number }[]>`
      SELECT count(*)::int AS files, coalesce(sum(bytes), 0)::float8 AS bytes FROM "File"
      WHERE state = 'stored' AND NOT keep AND "storedAt" < now() - ${days}::int * interval '1 day'`
    return row!
  }

  /** Marks up to `limit` of these for removal; how many. Index: File_storedAt_idx. */
  async expire(days: number, limit: number): Promise<number> {
    return this.#db.$executeRaw`
      WITH old AS (
        SELECT "videoId" FROM "File" WHERE state = 'stored' AND NOT keep AND "storedAt" < now() - ${days}::int * interval '1 day'
        ORDER BY "storedAt" LIMIT ${limit}::int FOR UPDATE SKIP LOCKED
      ), gone AS (
        -- an array, not a join: the planner would hash the table for a large batch
        UPDATE "File" f SET state = 'removing' WHERE f."videoId" = ANY(ARRAY(SELECT "videoId" FROM old)) RETURNING f."videoId"
      )
      UPDATE "SceneVideo" v SET file = jsonb_build_object('state', 'removed', 'reason', 'Kept for ' || ${days}::int || CASE ${days}::int WHEN 1 THEN ' day.' ELSE ' days.' END)
      FROM gone WHERE v.id = gone."videoId"`
  }

  /** Whether retention passes this user's file by; false where there is no file. */
  async keep(userId: string, videoId: string, keep: boolean): Promise<boolean> {
    const changed = await this.#db.$executeRaw`
      UPDATE "File" SET keep = ${keep} WHERE "videoId" = ${videoId}::uuid AND "userId" = ${userId}::uuid
        AND state IN ('waiting', 'stored')`
    return changed === 1
  }

  /** A page of the files that are promised, by key. Index: File_key_idx. */
  async stored(after: string, limit: number): Promise<PromisedFile[]> {
    return this.#db.$queryRaw<PromisedFile[]>`
      SELECT f.key, f.bytes::float8 AS bytes, (v.file->'poster'->>'bytes')::float8 AS poster, (v.file->'strip'->>'bytes')::float8 AS strip
      FROM "File" f JOIN "SceneVideo" v ON v.id = f."videoId"
      WHERE f.state = 'stored' AND f.key > ${after} ORDER BY f.key LIMIT ${limit}::int`
  }

  /**
   * Of these keys, those that no row names, and that nobody will look for: a video whose file is
   * neither kept nor lost may yet need what an earlier claim left. By primary keys, which are read
   * out of the keys.
   */
  async strays(keys: string[]): Promise<string[]> {
    // rule: what a file may yet be kept from is no stray
    const rows = await this.#db.$queryRaw<{ key: string }[]>`
      SELECT k.key FROM unnest(${keys}::text[], ${keys.map(withoutPreview)}::text[], ${keys.map(videoIn)}::uuid[], ${keys.map(uploadIn)}::uuid[]) AS k(key, file, "videoId", "uploadId")
      WHERE NOT EXISTS (SELECT 1 FROM "File" f WHERE f."videoId" = k."videoId" AND (f.key = k.file OR f.state = 'waiting'))
        AND NOT EXISTS (SELECT 1 FROM "SceneVideo" v WHERE v.id = k."videoId" AND v.file IS NULL AND v."erasedAt" IS NULL)
        AND NOT EXISTS (SELECT 1 FROM "Upload" u WHERE u.id = k."uploadId")`
    return rows.map(({ key }) => key)
  }
}

const uuid = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}'
const videoKey = new RegExp(`^(${uuid})-`)
const uploadKeys = new RegExp(`^upload-(${uuid})$`)
const videoIn = (key: string) => videoKey.exec(key)?.[1] ?? null
const uploadIn = (key: string) => uploadKeys.exec(key)?.[1] ?? null
