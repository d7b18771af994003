/**
 * Counts and times over many videos. Counts are exact and kept (see video-counts.ts), but where
 * rows have to be judged one by one; times to the outcome are of the newest `sampleSize` that
 * completed, so that they cost the same however many there are.
 */
import { statuses, type Status } from '#libs/scene-video/scene-video.ts'
import { firstV7At } from '#libs/runtime/uuid.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { videoCounts, type CountRow } from './video-counts.ts'
import { filterSql, type VideoFilter } from './video-filter.ts'

export type Counts = Record<Status, number>
const noCounts = (): Counts => ({ pending: 0, generating: 0, completed: 0, failed: 0 })

/** Where rows are judged one by one, so many of the newest are counted and no more. */
export const mostJudged = 50_000

const isCounted = ({ scriptId, sceneId, ids, phase, q, metadata }: VideoFilter) =>
  [scriptId, sceneId, ids, phase, q, metadata].every((one) => one === undefined)
const msOf = (instant: string | undefined) => (instant ? Date.parse(instant) : undefined)

export async function countVideos(
  db: Database,
  filter: VideoFilter,
): Promise<Counts & { isPartial: boolean }> {
  if (!isCounted(filter)) return judgedCounts(db, filter)
  const times = { fromMs: msOf(filter.createdFrom), toMs: msOf(filter.createdTo) }
  const counts = noCounts()
  for (const row of await videoCounts(db, { ...filter, ...times })) counts[row.status] += row.count
  return { ...counts, isPartial: false }
}

async function judgedCounts(
  db: Database,
  filter: VideoFilter,
): Promise<Counts & { isPartial: boolean }> {
  const { base, fits } = filterSql({ ...filter, status: undefined, errorCode: undefined })
  const { status, errorCode } = filter
  const wanted = Prisma.sql`(${status ?? null}::text[] IS NULL OR v.status::text = ANY(${status ?? null}::text[])) AND (${errorCode ?? null}::text[] IS NULL OR v."errorCode" = ANY(${errorCode ?? null}::text[]))`
  const rows = await db.$queryRaw<{ status: Status; count: number; looked: number }[]>`
    SELECT v.status, count(*) FILTER (WHERE ${fits} AND ${wanted})::int AS count, count(*)::int AS looked
    FROM (SELECT v.* FROM "SceneVideo" v WHERE ${base} ORDER BY v.id DESC LIMIT ${mostJudged}::int) v GROUP BY v.status`
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

const sampleSize = 5_000

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
  const [counted, times] = await Promise.all([
    videoCounts(db, { ...range, withErased: true }),
    db.$queryRaw<Time[]>`
      SELECT provider, model, count(*)::int AS of, percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY seconds) AS p FROM (
        SELECT ${provider} AS provider, ${model} AS model, extract(epoch FROM v."completedAt" - v."requestedAt")::float8 AS seconds
        FROM "SceneVideo" v WHERE v.status = 'completed' AND ${own} ORDER BY v.id DESC LIMIT ${sampleSize}::int
      ) e WHERE seconds IS NOT NULL GROUP BY 1, 2`,
  ])
  return joined(by, counted, times)
}

interface Time {
  provider: string | null
  model: string | null
  of: number
  p: [number, number, number]
}

/** Seconds, no finer than they were recorded. */
const toMs = (seconds: number) => Math.round(seconds * 1_000) / 1_000

function joined(by: StatsBy, counted: CountRow[], times: Time[]): StatsGroup[] {
  const groups = new Map<string, StatsGroup>()
  for (const { status, count, errorCode, ...row } of counted) {
    const provider = by === 'all' ? null : row.provider
    const model = by === 'model' ? row.model : null
    const key = JSON.stringify([provider, model])
    const empty = { provider, model, counts: noCounts(), errors: {}, seconds: null }
    const group: StatsGroup = groups.get(key) ?? empty
    group.counts[status] += count
    if (errorCode !== null) group.errors[errorCode] = (group.errors[errorCode] ?? 0) + count
    groups.set(key, group)
  }
  for (const { provider, model, p, of } of times) {
    const group = groups.get(JSON.stringify([provider, model]))
    if (group) group.seconds = { p50: toMs(p[0]), p95: toMs(p[1]), p99: toMs(p[2]), of }
  }
  const total = (group: StatsGroup) => statuses.reduce((sum, one) => sum + group.counts[one], 0)
  return [...groups.values()].toSorted((a, b) => total(b) - total(a))
}
