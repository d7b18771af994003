/**
 * Counts and times over many videos. Counts come from an index alone; times to the outcome are of
 * the newest `sampleSize` that ended, so that they cost the same however many there are.
 */
import { statuses, type Status } from '#libs/scene-video/scene-video.ts'
import { firstV7At } from '#libs/runtime/uuid.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { filterSql, type VideoFilter } from './video-filter.ts'

export type Counts = Record<Status, number>
const noCounts = (): Counts => ({ pending: 0, generating: 0, completed: 0, failed: 0 })

/** Where rows are judged one by one, so many of the newest are counted and no more. */
export const mostJudged = 50_000

export async function countVideos(
  db: Database,
  filter: VideoFilter,
): Promise<Counts & { isPartial: boolean }> {
  const { base, fits, isNarrow } = filterSql({ ...filter, status: undefined, errorCode: undefined })
  const { status, errorCode } = filter
  const wanted = Prisma.sql`(${status ?? null}::text[] IS NULL OR v.status::text = ANY(${status ?? null}::text[])) AND (${errorCode ?? null}::text[] IS NULL OR v."errorCode" = ANY(${errorCode ?? null}::text[]))`
  const judged = isNarrow || errorCode !== undefined
  const rows = judged
    ? await db.$queryRaw<{ status: Status; count: number; looked: number }[]>`
        SELECT v.status, count(*) FILTER (WHERE ${fits} AND ${wanted})::int AS count, count(*)::int AS looked
        FROM (SELECT v.* FROM "SceneVideo" v WHERE ${base} ORDER BY v.id DESC LIMIT ${mostJudged}::int) v GROUP BY v.status`
    : await db.$queryRaw<{ status: Status; count: number; looked: number }[]>`
        SELECT v.status, count(*)::int AS count, 0 AS looked FROM "SceneVideo" v WHERE ${base} AND ${wanted} GROUP BY v.status`
  const counts = noCounts()
  for (const row of rows) counts[row.status] = row.count
  const looked = rows.reduce((sum, row) => sum + row.looked, 0)
  return { ...counts, isPartial: looked >= mostJudged }
}

export interface StatsGroup {
  provider: string | null
  model: string | null
  counts: Counts
  errors: Record<string, number>
  /** Seconds from the request of an attempt to its end. */
  seconds: { p50: number; p95: number; p99: number; of: number } | null
}

const sampleSize = 10_000

export type StatsBy = 'all' | 'provider' | 'model'

/** `userId` null: of all users. Times are Unix milliseconds, from including, to excluding. */
export async function statsOf(
  db: Database,
  range: { userId: string | null; fromMs: number; toMs: number },
  by: StatsBy,
): Promise<StatsGroup[]> {
  const inRange = Prisma.sql`v.id >= ${firstV7At(range.fromMs)}::uuid AND v.id < ${firstV7At(range.toMs)}::uuid`
  const own =
    range.userId === null ? inRange : Prisma.sql`v."userId" = ${range.userId}::uuid AND ${inRange}`
  const provider = by === 'all' ? Prisma.sql`NULL::text` : Prisma.sql`v.provider`
  const model = by === 'model' ? Prisma.sql`v.model` : Prisma.sql`NULL::text`
  type Count = { provider: string | null; model: string | null; status: Status; count: number }
  type Time = {
    provider: string | null
    model: string | null
    p: number[] | null
    of: number
    errors: Record<string, number> | null
  }
  const [counted, times] = await Promise.all([
    db.$queryRaw<Count[]>`
      SELECT ${provider} AS provider, ${model} AS model, v.status, count(*)::int AS count FROM "SceneVideo" v WHERE ${own} GROUP BY 1, 2, 3`,
    db.$queryRaw<Time[]>`
      WITH ended AS MATERIALIZED (
        SELECT ${provider} AS provider, ${model} AS model, v."errorCode", extract(epoch FROM v."completedAt" - v."requestedAt")::float8 AS seconds
        FROM unnest(ARRAY['completed', 'failed']::"Status"[]) AS s(status) CROSS JOIN LATERAL (
          SELECT v.* FROM "SceneVideo" v WHERE v.status = s.status AND ${own} ORDER BY v.id DESC LIMIT ${sampleSize}::int
        ) v WHERE v."completedAt" IS NOT NULL
      ), errors AS (
        SELECT provider, model, jsonb_object_agg("errorCode", count) AS errors FROM (
          SELECT provider, model, "errorCode", count(*) FROM ended WHERE "errorCode" IS NOT NULL GROUP BY 1, 2, 3
        ) e GROUP BY 1, 2
      )
      SELECT t.*, e.errors FROM (
        SELECT provider, model, count(*) FILTER (WHERE "errorCode" IS NULL)::int AS of,
          percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) FILTER (WHERE "errorCode" IS NULL) AS p
        FROM ended GROUP BY 1, 2
      ) t LEFT JOIN errors e ON e.provider IS NOT DISTINCT FROM t.provider AND e.model IS NOT DISTINCT FROM t.model`,
  ])
  return joined(counted, times)
}

/** Seconds, no finer than they were recorded. */
const toMs = (seconds: number) => Math.round(seconds * 1_000) / 1_000

function joined(
  counted: { provider: string | null; model: string | null; status: Status; count: number }[],
  times: {
    provider: string | null
    model: string | null
    p: number[] | null
    of: number
    errors: Record<string, number> | null
  }[],
): StatsGroup[] {
  const groups = new Map<string, StatsGroup>()
  for (const { provider, model, status, count } of counted) {
    const key = JSON.stringify([provider, model])
    const group = groups.get(key) ?? {
      provider,
      model,
      counts: noCounts(),
      errors: {},
      seconds: null,
    }
    group.counts[status] = count
    groups.set(key, group)
  }
  for (const { provider, model, p, of, errors } of times) {
    const group = groups.get(JSON.stringify([provider, model]))
    if (!group) continue
    group.errors = errors ?? {}
    if (p) group.seconds = { p50: toMs(p[0]!), p95: toMs(p[1]!), p99: toMs(p[2]!), of }
  }
  const total = (group: StatsGroup) => statuses.reduce((sum, one) => sum + group.counts[one], 0)
  return [...groups.values()].toSorted((a, b) => total(b) - total(a))
}
