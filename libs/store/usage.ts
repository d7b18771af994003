/**
 * What each user has used of its limits, summed over all gateways, and the operator's exceptions. A
 * gateway tells what it counted and hears the sum by one statement, for all users that were active.
 */
import type { Database } from './connect.ts'

export type UsageKind = 'requests' | 'creates_minute' | 'creates_day'
export interface Usage {
  userId: string
  kind: UsageKind
  used: number
}

export class UsageStore {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Adds, and answers what is used in the present windows, and Postgres' time. */
  async add(counted: Usage[]): Promise<{ sums: Usage[]; nowMs: number }> {
    const [ids, kinds, used] = [
      counted.map((one) => one.userId),
      counted.map((one) => one.kind),
      counted.map((one) => one.used),
    ]
    const rows = await this.#db.$queryRaw<
      { userId: string; kind: UsageKind; used: bigint; nowMs: number }[]
    >`
      INSERT INTO "UserUsage" ("userId", kind, "window", used)
      SELECT i."userId", i.kind, date_trunc(CASE WHEN i.kind = 'creates_day' THEN 'day' ELSE 'minute' END, now(), 'UTC'), i.used
      FROM unnest(${ids}::uuid[], ${kinds}::text[], ${used}::bigint[]) AS i("userId", kind, used) ORDER BY 1, 2
      ON CONFLICT ("userId", kind, "window") DO UPDATE SET used = "UserUsage".used + excluded.used
      RETURNING "userId", kind, used, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "nowMs"`
    return {
      sums: rows.map((row) => ({ userId: row.userId, kind: row.kind, used: Number(row.used) })),
      nowMs: rows[0]!.nowMs,
    }
  }

  /** Open videos of each of these users, no further than `most`. Index: (userId, status). */
  async openVideos(userIds: string[], most: number): Promise<Map<string, number>> {
    const rows = await this.#db.$queryRaw<{ userId: string; count: number }[]>`
      SELECT u.id AS "userId", (
        SELECT count(*)::int FROM (
          SELECT 1 FROM "SceneVideo" v WHERE v."userId" = u.id AND v.status IN ('pending', 'generating') LIMIT ${most}::int
        ) o
      ) AS count FROM unnest(${userIds}::uuid[]) AS u(id)`
    return new Map(rows.map((row) => [row.userId, row.count]))
  }

  /** The operator's exceptions; null without any. */
  async exceptions(userIds: string[]): Promise<Map<string, unknown>> {
    const rows = await this.#db.user.findMany({
      where: { id: { in: userIds } },
      select: { id: true, limits: true },
    })
    return new Map(rows.map((row) => [row.id, row.limits]))
  }

  async userName(id: string): Promise<string | null> {
    const row = await this.#db.user.findUnique({ where: { id }, select: { name: true } })
    return row?.name ?? null
  }

  /** Windows that are over. */
  async forget(): Promise<void> {
    await this.#db
      .$executeRaw`DELETE FROM "UserUsage" WHERE "window" < now() - interval '2 days' OR (kind <> 'creates_day' AND "window" < now() - interval '5 minutes')`
  }
}
