/**
 * Pages of videos in the order of their ids, which are UUIDv7: the order of creation.
 *
 * What an index finds is read at once. For the rest a page looks at so many rows and no more: it
 * may be short, or empty, and still have a next one that goes on where it stopped. So a page costs
 * the same however many videos there are, and however few of them fit.
 */
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { toSceneVideo, type VideoRow } from './rows.ts'
import { filterSql, type FilterSql, type VideoFilter } from './video-filter.ts'

export interface PageOptions {
  limit: number
  order: 'asc' | 'desc'
  /** The id that the page before ended at. */
  after?: string | undefined
}

export interface VideoPage {
  rows: (VideoRow & { userId: string })[]
  /** Where to go on; null where nothing is left. */
  next: string | null
}

/** Rows looked at, one step after another, until the page is full. */
const steps = [400, 4_000, 6_000]
/** Before each step: what carries metadata is found by its index, where it is no more than this. */
const mostHits = [0, 5_000, 20_000]

export async function pageOfVideos(
  db: Database,
  filter: VideoFilter,
  options: PageOptions,
): Promise<VideoPage> {
  const sql = filterSql(filter)
  const rows: VideoPage['rows'] = []
  let after: string | null | undefined = options.after
  for (const [step, most] of steps.entries()) {
    if (step > 0 && filter.metadata) {
      const limit = options.limit - rows.length
      const hits = await byMetadata(
        db,
        filterSql(filter, true),
        { ...options, after, limit },
        mostHits[step]!,
      )
      if (hits) return { rows: [...rows, ...hits.rows], next: hits.next }
    }
    const left = options.limit - rows.length
    const scan = sql.isNarrow ? most : left + 1
    const found: VideoPage = await scanned(db, sql, { ...options, after, limit: left }, scan)
    rows.push(...found.rows)
    after = found.next
    if (after === null || rows.length >= options.limit) break
  }
  return { rows, next: after ?? null }
}

export async function listVideos(
  db: Database,
  filter: VideoFilter,
  options: PageOptions,
): Promise<{ data: SceneVideo[]; next: string | null }> {
  const { rows, next } = await pageOfVideos(db, filter, options)
  return { data: rows.map(toSceneVideo), next }
}

const beyond = (after: string | null | undefined, { order }: PageOptions) =>
  after === null || after === undefined
    ? Prisma.sql`true`
    : order === 'desc'
      ? Prisma.sql`v.id < ${after}::uuid`
      : Prisma.sql`v.id > ${after}::uuid`
const direction = ({ order }: PageOptions) =>
  order === 'desc' ? Prisma.sql`DESC` : Prisma.sql`ASC`

const inBranches = ({ branches }: FilterSql): Prisma.Sql[] =>
  branches === null
    ? [Prisma.sql`true`]
    : branches.values.map((value) =>
        branches.column === 'status'
          ? Prisma.sql`v.status = ${value}::"Status"`
          : Prisma.sql`v."errorCode" = ${value}`,
      )

/**
 * In the statement's text: a plan that is kept for any limit takes it for a tenth of all rows, and
 * sorts what an index has in order.
 */
const asText = (rows: number): Prisma.Sql => Prisma.raw(String(Math.trunc(rows)))

type Found = { rows: VideoPage['rows']; floor: string | null }

/** One step: the next `scan` rows of each branch; of those that fit, no more than the limit. */
async function scanned(
  db: Database,
  sql: FilterSql,
  options: PageOptions,
  scan: number,
): Promise<VideoPage> {
  // each with its value in place: Postgres chooses the index by how many rows have that value
  const branches = inBranches(sql).map(
    (inBranch, i) => Prisma.sql`
      (SELECT ${i}::int AS branch, v.id, (${sql.fits}) AS fits FROM "SceneVideo" v WHERE ${sql.base} AND ${inBranch} AND ${beyond(options.after, options)}
      ORDER BY v.id ${direction(options)} LIMIT ${asText(scan)})`,
  )
  const isDesc = options.order === 'desc'
  const [found] = await db.$queryRaw<{ found: Found }[]>`
    WITH scanned AS MATERIALIZED (${Prisma.join(branches, ' UNION ALL ')}), ends AS (
      SELECT ${isDesc ? Prisma.sql`max(e.last)` : Prisma.sql`min(e.last)`} AS floor FROM (
        SELECT ${isDesc ? Prisma.sql`min(id::text)` : Prisma.sql`max(id::text)`} AS last FROM scanned GROUP BY branch HAVING count(*) >= ${scan}::int
      ) e
    ), page AS (
      SELECT s.id FROM scanned s, ends WHERE s.fits AND (ends.floor IS NULL OR ${isDesc ? Prisma.sql`s.id >= ends.floor::uuid` : Prisma.sql`s.id <= ends.floor::uuid`})
      ORDER BY s.id ${direction(options)} LIMIT ${options.limit + 1}::int
    )
    SELECT json_build_object('floor', (SELECT floor FROM ends), 'rows',
      coalesce((SELECT json_agg(to_json(v) ORDER BY v.id ${direction(options)}) FROM "SceneVideo" v WHERE v.id IN (SELECT id FROM page)), '[]')) AS found`
  const { rows, floor } = found!.found
  if (rows.length > options.limit) {
    const page = rows.slice(0, options.limit)
    return { rows: page, next: page.at(-1)!.id }
  }
  return { rows, next: floor }
}

/** By the index of metadata; null where so many carry it that looking at the newest is quicker. */
async function byMetadata(
  db: Database,
  sql: FilterSql,
  options: PageOptions,
  most: number,
): Promise<VideoPage | null> {
  const { branches } = sql
  const { limit } = options
  const inBranches =
    branches === null
      ? Prisma.sql`true`
      : branches.column === 'status'
        ? Prisma.sql`v.status::text = ANY(${branches.values}::text[])`
        : Prisma.sql`v."errorCode" = ANY(${branches.values}::text[])`
  const [found] = await db.$queryRaw<{ count: number; rows: VideoPage['rows'] }[]>`
    WITH hits AS MATERIALIZED (
      SELECT v.id FROM "SceneVideo" v WHERE ${sql.base} AND ${inBranches} AND ${sql.fits} LIMIT ${asText(most + 1)}
    ), page AS (SELECT v.id FROM hits v WHERE ${beyond(options.after, options)} ORDER BY v.id ${direction(options)} LIMIT ${limit + 1}::int)
    SELECT (SELECT count(*)::int FROM hits) AS count,
      coalesce((SELECT json_agg(to_json(v) ORDER BY v.id ${direction(options)}) FROM "SceneVideo" v WHERE v.id IN (SELECT id FROM page)), '[]') AS rows`
  const { count, rows } = found!
  if (count > most) return null
  if (rows.length <= limit) return { rows, next: null }
  const page = rows.slice(0, limit)
  return { rows: page, next: page.at(-1)!.id }
}
