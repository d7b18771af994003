/**
 * What each user has used of its limits, summed over all gateways, and the operator's exceptions. A
 * gateway tells what it counted by one statement, and hears the sums by another, for all users that
 * were active.
 */
import type { Database } from './connect.ts'
import { Gather } from './gather.ts'

export type UsageKind = 'requests' | 'creates_minute' | 'creates_day'
export interface Usage {
  userId: string
  kind: UsageKind
  used: number
}

export interface Standing {
  /** The operator's exceptions; null without any. */
  limits: unknown
  used: Partial<Record<UsageKind, number>>
  /** Postgres' time. */
  nowMs: number
}

export class UsageStore {
  readonly #db: Database
  readonly #gather: Gather<{ id: string }, Standing | undefined>
  constructor(db: Database) {
    this.#db = db
    this.#gather = new Gather(
      (some) => this.standings(some.map((one) => one.id)),
      async ({ id }) => (await this.standings([id])).get(id),
    )
  }

  /** Adds to the present windows. */
  async add(counted: Usage[]): Promise<void> {
    const [ids, kinds, used] = [
      counted.map((one) => one.userId),
      counted.map((one) => one.kind),
      counted.map((one) => one.used),
    ]
    await this.#db.$executeRaw`
      INSERT INTO "UserUsage" ("userId", kind, "window", used)
      SELECT i."userId", i.kind, date_trunc(CASE WHEN i.kind = 'creates_day' THEN 'day' ELSE 'minute' END, now(), 'UTC'), i.used
      FROM unnest(${ids}::uuid[], ${kinds}::text[], ${used}::bigint[]) AS i("userId", kind, used) ORDER BY 1, 2
      ON CONFLICT ("userId", kind, "window") DO UPDATE SET used = "UserUsage".used + excluded.used`
  }

  /** How these users stand in the present windows. Index: (userId, kind, window). */
  async standings(userIds: string[]): Promise<Map<string, Standing>> {
    const rows = await this.#db.$queryRaw<({ id: string } & Standing)[]>`
      SELECT u.id, u.limits, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "nowMs", coalesce((
        SELECT jsonb_object_agg(s.kind, s.used) FROM "UserUsage" s
        WHERE s."userId" = u.id AND s."window" = date_trunc(CASE WHEN s.kind = 'creates_day' THEN 'day' ELSE 'minute' END, now(), 'UTC')
      ), '{}') AS used FROM "User" u WHERE u.id = ANY(${userIds}::uuid[])`
    return new Map(rows.map(({ id, ...standing }) => [id, standing]))
  }

  /** The same of one, asked for together with what others ask for at that moment. */
  async standing(userId: string): Promise<Map<string, Standing>> {
    const found = await this.#gather.do({ id: userId })
    return new Map(found ? [[userId, found]] : [])
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
