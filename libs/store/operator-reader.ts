/** What an operator sees across users. No text of a user's key or account is in it. */
import type { Actor, Status } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { pageOfVideos, type PageOptions } from './list-videos.ts'
import { toVideoEvent } from './rows.ts'
import type { VideoFilter } from './video-filter.ts'

export interface AccountRow {
  provider: string
  host: string
  users: number
  open: number
  waiting: number
  oldestOpenAt: string | null
  sends: number
  answers: Record<string, number>
}
export interface ActivityRow {
  at: string
  videoId: string
  userId: string
  attempt: number
  version: number
  kind: string
  status: Status
  by: Actor
}
/** Accounts of which somebody waits because of what the provider said. */
export interface CircuitRow {
  provider: string
  reason: string
  videos: number
  nextTryAt: string | null
}

/** How far back sends are counted. */
const recentHours = 24

export class OperatorReader {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** With whose they are. */
  async videos(filter: VideoFilter, options: PageOptions) {
    const { rows, next } = await pageOfVideos(this.#db, filter, options)
    return { data: rows.map(toVideoEvent), next }
  }

  async video(id: string) {
    const row = await this.#db.sceneVideo.findUnique({ where: { id } })
    return row && toVideoEvent(row)
  }

  /** Sends of the last day, by provider and host, and what is open of them. */
  async accounts(): Promise<AccountRow[]> {
    type Row = Omit<AccountRow, 'oldestOpenAt'> & { oldestOpenAt: Date | null }
    const rows = await this.#db.$queryRaw<Row[]>`
      WITH recent AS MATERIALIZED (
        SELECT s.provider, regexp_replace(s."baseUrl", '^https?://([^/]+).*$', '\\1') AS host, coalesce(s.answer, 'none') AS answer, s."videoId", s."intentAt", v.status, v."userId", v."waitReason"
        FROM "Submission" s JOIN "SceneVideo" v ON v.id = s."videoId" WHERE s."intentAt" > now() - make_interval(hours => ${recentHours}::int)
        ORDER BY s."intentAt" DESC LIMIT 100000
      ), answers AS (
        SELECT provider, host, jsonb_object_agg(answer, count) AS answers FROM (SELECT provider, host, answer, count(*) FROM recent GROUP BY 1, 2, 3) a GROUP BY 1, 2
      )
      SELECT r.provider, r.host, count(DISTINCT r."userId")::int AS users, count(DISTINCT r."videoId") FILTER (WHERE r.status IN ('pending', 'generating'))::int AS open,
        count(DISTINCT r."videoId") FILTER (WHERE r.status = 'pending' AND r."waitReason" IS NOT NULL)::int AS waiting,
        min(r."intentAt") FILTER (WHERE r.status IN ('pending', 'generating')) AS "oldestOpenAt", count(*)::int AS sends, a.answers
      FROM recent r JOIN answers a USING (provider, host) GROUP BY r.provider, r.host, a.answers ORDER BY sends DESC LIMIT 200`
    return rows.map((row) => ({ ...row, oldestOpenAt: row.oldestOpenAt?.toISOString() ?? null }))
  }

  async circuits(): Promise<CircuitRow[]> {
    type Row = Omit<CircuitRow, 'nextTryAt'> & { nextTryAt: Date | null }
    const rows = await this.#db.$queryRaw<Row[]>`
      SELECT v.provider, v."waitReason" AS reason, count(*)::int AS videos, min(v."waitUntil") AS "nextTryAt"
      FROM "SceneVideo" v WHERE v.status = 'pending' AND v."waitReason" IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 200`
    return rows.map((row) => ({ ...row, nextTryAt: row.nextTryAt?.toISOString() ?? null }))
  }

  /** What keys did, newest first. Index: acts. */
  async activity(limit: number, before: bigint | null): Promise<(ActivityRow & { id: string })[]> {
    type Row = Omit<ActivityRow, 'at'> & { id: bigint; at: Date }
    const rows = await this.#db.$queryRaw<Row[]>`
      SELECT t.id, t.at, t."videoId", v."userId", t.attempt, t.version, t.kind, t.status, t.by
      FROM "Timeline" t JOIN "SceneVideo" v ON v.id = t."videoId"
      WHERE t.by IS NOT NULL AND (${before}::bigint IS NULL OR t.id < ${before}::bigint) ORDER BY t.id DESC LIMIT ${limit}::int`
    return rows.map((row) => ({ ...row, id: String(row.id), at: row.at.toISOString() }))
  }
}
