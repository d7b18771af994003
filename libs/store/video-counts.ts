/**
 * How many videos there are, exactly, and at a cost that does not grow with them. Those that have
 * ended are counted as they end, in the transaction that ends them: a trigger notes each change,
 * and the reconciler adds the noted ones up, of a user and a project ever and by day of creation,
 * of all users by day and hour. Read are the sums, what is noted since, the videos of a first and a
 * last day (hour) that the range covers in part, and the open ones; all in one statement, which
 * sees one moment.
 */
import type { Status } from '#libs/scene-video/scene-video.ts'
import { firstV7At } from '#libs/runtime/uuid.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'

/** Null: of all users. Times are Unix milliseconds, from including, to excluding. */
export interface CountFilter {
  userId: string | null
  projectId?: string | undefined
  fromMs?: number | null | undefined
  toMs?: number | null | undefined
  status?: readonly Status[] | undefined
  errorCode?: readonly string[] | undefined
  provider?: readonly string[] | undefined
  model?: readonly string[] | undefined
  /** Also those whose content is erased. */
  withErased?: boolean
}

export interface CountRow {
  provider: string
  model: string
  status: Status
  errorCode: string | null
  count: number
}

const everybody = '00000000-0000-0000-0000-000000000000'
const everybodyByHour = '00000000-0000-0000-0000-000000000001'
const hourMs = 3_600_000
const dayMs = 24 * hourMs

const open = Prisma.sql`c.status IN ('pending', 'generating')`
const ended = Prisma.sql`c.status IN ('completed', 'failed')`
const joined = (parts: Prisma.Sql[]) => (parts.length ? Prisma.join(parts, ' ') : Prisma.empty)
const all = (parts: Prisma.Sql[]) => Prisma.join(parts, ' AND ')
const within = (at: Prisma.Sql, ranges: Range[]) => {
  const each = ranges.map(
    ([from, to]) =>
      Prisma.sql`(${from === null ? Prisma.sql`true` : Prisma.sql`${at} >= ${new Date(from)}::timestamptz`} AND ${to === null ? Prisma.sql`true` : Prisma.sql`${at} < ${new Date(to)}::timestamptz`})`,
  )
  return each.length ? Prisma.sql`(${Prisma.join(each, ' OR ')})` : Prisma.sql`false`
}
const isAny = (column: Prisma.Sql, values: readonly string[] | undefined) =>
  values === undefined ? [] : [Prisma.sql`${column} = ANY(${[...values]}::text[])`]

/** From including, to excluding; null has no end. */
type Range = [from: number | null, to: number | null]

/** The whole buckets within a range, and what is left of it at its ends. */
function split([from, to]: Range, bucketMs: number): { whole: Range | null; rest: Range[] } {
  const first = from === null ? null : Math.ceil(from / bucketMs) * bucketMs
  const last = to === null ? null : Math.floor(to / bucketMs) * bucketMs
  if (first !== null && last !== null && first >= last) return { whole: null, rest: [[from, to]] }
  const ends: Range[] = [
    [from, first],
    [last, to],
  ]
  return { whole: [first, last], rest: ends.filter(([begin, end]) => begin !== end) }
}

interface Plan {
  /** Read from sums: by day, and of all users by hour. */
  days: Range[]
  hours: Range[]
  /** Read from the rows themselves. */
  rows: Range[]
}

function planOf({ userId, fromMs = null, toMs = null }: CountFilter): Plan {
  const { whole, rest } = split([fromMs, toMs], dayMs)
  const days = whole ? [whole] : []
  if (userId !== null) return { days, hours: [], rows: rest }
  const byHour = rest.map((one) => split(one, hourMs))
  return {
    days,
    hours: byHour.flatMap((one) => (one.whole ? [one.whole] : [])),
    rows: byHour.flatMap((one) => one.rest),
  }
}

export async function videoCounts(db: Database, filter: CountFilter): Promise<CountRow[]> {
  const { userId, projectId, fromMs = null, toMs = null } = filter
  const { days, hours, rows: parts } = planOf(filter)
  const fits = (code: Prisma.Sql) => [
    ...isAny(Prisma.sql`c.provider`, filter.provider),
    ...isAny(Prisma.sql`c.model`, filter.model),
    ...isAny(Prisma.sql`c.status::text`, filter.status),
    ...isAny(code, filter.errorCode),
  ]
  const isEver = userId !== null && fromMs === null && toMs === null
  const kept = filter.withErased ? [] : [Prisma.sql`NOT c."isErased"`]
  const keptRow = filter.withErased ? [] : [Prisma.sql`c."erasedAt" IS NULL`]
  const own = [
    ...(userId === null ? [] : [Prisma.sql`c."userId" = ${userId}::uuid`]),
    ...(projectId === undefined ? [] : [Prisma.sql`c."projectId" = ${projectId}::uuid`]),
  ]
  const made = ([begin, end]: Range) => [
    ...(begin === null ? [] : [Prisma.sql`c.id >= ${firstV7At(begin)}::uuid`]),
    ...(end === null ? [] : [Prisma.sql`c.id < ${firstV7At(end)}::uuid`]),
  ]
  const code = Prisma.sql`coalesce(c."errorCode", '')`
  const rowsWhere = (status: Prisma.Sql, range: Prisma.Sql[]) => Prisma.sql`
    UNION ALL SELECT c.provider, c.model, c.status, ${code}, 1 FROM "SceneVideo" c
    WHERE ${all([status, ...own, ...range, ...keptRow, ...fits(code)])}`
  // somebody else's project is none
  const scope =
    projectId === undefined
      ? Prisma.sql`${userId ?? everybody}::uuid`
      : Prisma.sql`(SELECT p.id FROM "Project" p WHERE p.id = ${projectId}::uuid AND (${userId}::uuid IS NULL OR p."userId" = ${userId}::uuid))`
  const sums = (of: Prisma.Sql, ranges: Range[]) => Prisma.sql`
    SELECT c.provider, c.model, c.status, c."errorCode" AS code, c.count FROM "VideoCount" c
    WHERE ${all([
      Prisma.sql`c.scope = ${of}`,
      isEver ? Prisma.sql`c.since = '-infinity'` : Prisma.sql`c.since > '-infinity'`,
      isEver ? Prisma.sql`true` : within(Prisma.sql`c.since`, ranges),
      ...kept,
      ...fits(Prisma.sql`c."errorCode"`),
    ])}`
  const rows = await db.$queryRaw<(Omit<CountRow, 'count'> & { count: bigint })[]>`
    SELECT provider, model, status, nullif(code, '') AS "errorCode", sum(count)::bigint AS count FROM (
      ${sums(scope, days)} UNION ALL ${sums(Prisma.sql`${everybodyByHour}::uuid`, hours)}
      UNION ALL SELECT c.provider, c.model, c.status, c."errorCode", c.change FROM "VideoCountChange" c
      WHERE ${all([...own, within(Prisma.sql`c."createdAt"`, [...days, ...hours]), ...kept, ...fits(Prisma.sql`c."errorCode"`)])}
      ${rowsWhere(open, made([fromMs, toMs]))}
      ${joined(parts.map((part) => rowsWhere(ended, made(part))))}
    ) c GROUP BY 1, 2, 3, 4 HAVING sum(count) <> 0`
  return rows.map((row) => ({ ...row, count: Number(row.count) }))
}

/** Of the reconciler: adds up the oldest noted changes. How many there were. */
export async function addUpCounts(db: Database, most: number): Promise<number> {
  const [row] = await db.$queryRaw<{ taken: number }[]>`
    WITH taken AS (
      DELETE FROM "VideoCountChange" WHERE id IN (SELECT id FROM "VideoCountChange" ORDER BY id LIMIT ${most}::int FOR UPDATE SKIP LOCKED) RETURNING *
    ), added AS (
      INSERT INTO "VideoCount" AS v (scope, since, provider, model, status, "errorCode", "isErased", count)
      SELECT s.scope, s.since, t.provider, t.model, t.status, t."errorCode", t."isErased", sum(t.change)
      FROM taken t CROSS JOIN LATERAL (VALUES
        (${everybody}::uuid, date_trunc('day', t."createdAt", 'UTC')), (${everybodyByHour}::uuid, date_trunc('hour', t."createdAt", 'UTC')), (t."userId", date_trunc('day', t."createdAt", 'UTC')), (t."projectId", date_trunc('day', t."createdAt", 'UTC')),
        (t."userId", '-infinity'), (t."projectId", '-infinity')
      ) AS s(scope, since)
      GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(t.change) <> 0 ORDER BY 1, 2, 3, 4, 5, 6, 7
      ON CONFLICT (scope, since, provider, model, status, "errorCode", "isErased") DO UPDATE SET count = v.count + excluded.count
    )
    SELECT count(*)::int AS taken FROM taken`
  return row!.taken
}
