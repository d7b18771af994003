/**
 * What projects with limits of their own keep too much of: files older than their days, and the
 * oldest beyond their bytes. A file with `keep` counts, and is never among them. An installation's
 * own days are in file-removal.ts, and hold beside these.
 */
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'

/** Of one project. */
export interface Excess {
  projectId: string
  title: string
  files: number
  bytes: number
}

export class FileRetention {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /**
   * What would be deleted now, by project. Reads all files of the projects that have limits, and
   * none where there is no such project. Index: Project_file_limits_idx, (projectId, id).
   */
  async excess(): Promise<Excess[]> {
    if (!(await this.#isNeeded())) return []
    return this.#db.$queryRaw<Excess[]>`
      SELECT e."projectId", p.title, count(*)::int AS files, sum(e.bytes)::float8 AS bytes
      FROM (${this.#beyond()}) e JOIN "Project" p ON p.id = e."projectId"
      GROUP BY e."projectId", p.title ORDER BY e."projectId"`
  }

  /** Marks up to `limit` of these for removal; how many. */
  async expire(limit: number): Promise<number> {
    if (!(await this.#isNeeded())) return 0
    // rule: what is to be kept is not deleted, second
    return this.#db.$executeRaw`
      WITH beyond AS (${this.#beyond()}), chosen AS (
        SELECT f."videoId", b.reason FROM "File" f JOIN beyond b ON b."videoId" = f."videoId"
        WHERE f.state = 'stored' AND NOT f.keep ORDER BY f."storedAt" LIMIT ${limit}::int FOR UPDATE OF f SKIP LOCKED
      ), gone AS (
        UPDATE "File" f SET state = 'removing' FROM chosen c WHERE f."videoId" = c."videoId" RETURNING f."videoId", c.reason
      )
      UPDATE "SceneVideo" v SET file = jsonb_build_object('state', 'removed', 'reason', gone.reason)
      FROM gone WHERE v.id = gone."videoId"`
  }

  async #isNeeded(): Promise<boolean> {
    const rows = await this.#db.$queryRaw<unknown[]>`
      SELECT 1 FROM "Project" WHERE "fileDays" IS NOT NULL OR "fileBytes" IS NOT NULL LIMIT 1`
    return rows.length > 0
  }

  #beyond() {
    // rule: what is to be kept is not deleted
    return Prisma.sql`
      SELECT "videoId", "projectId", bytes,
        CASE WHEN old THEN 'Its project keeps files for ' || "fileDays" || ' days.' ELSE 'Its project keeps ' || "fileBytes" || ' bytes of files.' END AS reason
      FROM (
        SELECT f."videoId", v."projectId", f.bytes, f.keep, p."fileDays", p."fileBytes",
          coalesce(f."storedAt" < now() - p."fileDays" * interval '1 day', false) AS old,
          -- what is kept for good comes first, then the newest
          sum(f.bytes) OVER (PARTITION BY p.id ORDER BY f.keep DESC, f."storedAt" DESC, f."videoId") AS total
        FROM "Project" p JOIN "SceneVideo" v ON v."projectId" = p.id JOIN "File" f ON f."videoId" = v.id
        WHERE (p."fileDays" IS NOT NULL OR p."fileBytes" IS NOT NULL) AND f.state = 'stored'
      ) ranked
      WHERE NOT keep AND (old OR total > "fileBytes")`
  }
}
