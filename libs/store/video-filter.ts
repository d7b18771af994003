/**
 * What a list of videos may be narrowed by, as SQL. Some of it has an index (`base`), which bounds
 * what is read; the rest (`fits`) is judged row by row, so whoever uses it bounds the rows.
 */
import type { Status } from '#libs/scene-video/scene-video.ts'
import { firstV7At } from '#libs/runtime/uuid.ts'
import { Prisma } from './generated/client.ts'

export interface VideoFilter {
  /** Null: of all users, for operators. */
  userId: string | null
  projectId?: string | undefined
  scriptId?: string | undefined
  sceneId?: string | undefined
  ids?: string[] | undefined
  status?: Status[] | undefined
  phase?: string[] | undefined
  errorCode?: string[] | undefined
  provider?: string[] | undefined
  model?: string[] | undefined
  /** ISO 8601; from including, to excluding. */
  createdFrom?: string | undefined
  createdTo?: string | undefined
  /** Part of the prompt, a task's id, or the beginning of a video's. */
  q?: string | undefined
  metadata?: Record<string, string> | undefined
}

export interface FilterSql {
  base: Prisma.Sql
  fits: Prisma.Sql
  /** Whether `fits` excludes anything but what is erased. */
  isNarrow: boolean
  /** Rows are read in the order of ids within each of these: an index has them side by side. */
  branches: { column: 'status' | 'errorCode'; values: string[] } | null
}

const and = (parts: Prisma.Sql[]) => (parts.length ? Prisma.join(parts, ' AND ') : Prisma.sql`true`)
const isAny = (column: Prisma.Sql, values: string[]) =>
  Prisma.sql`${column} = ANY(${values}::text[])`

export const escapeLike = (text: string): string => text.replaceAll(/[\\%_]/g, (one) => `\\${one}`)

/** A query string has only text, so every value that is written so is meant. */
function metadataFits(metadata: Record<string, string>): Prisma.Sql[] {
  return Object.entries(metadata).map(([key, text]) => {
    const values: unknown[] = [text]
    if (text !== '' && Number.isFinite(Number(text))) values.push(Number(text))
    if (text === 'true' || text === 'false') values.push(text === 'true')
    if (text === 'null') values.push(null)
    const each = values.map(
      (value) => Prisma.sql`v.params -> 'metadata' @> ${JSON.stringify({ [key]: value })}::jsonb`,
    )
    return Prisma.sql`(v.params ? 'metadata' AND (${Prisma.join(each, ' OR ')}))`
  })
}

function textFits(q: string): Prisma.Sql {
  const part = `%${escapeLike(q)}%`
  const begin = `${escapeLike(q.toLowerCase())}%`
  return Prisma.sql`(v.prompt ILIKE ${part} OR v."taskId" = ${q} OR v.id::text LIKE ${begin})`
}

/** `isFound`: by an index of something else than the user. */
export function filterSql(filter: VideoFilter, isFound = false): FilterSql {
  const base: Prisma.Sql[] = []
  const narrow: Prisma.Sql[] = []
  const { userId, projectId, scriptId, sceneId, ids, createdFrom, createdTo } = filter
  const isSmall = Boolean(projectId ?? sceneId ?? scriptId ?? ids)
  // judged row by row where something smaller is given: else a plan that is kept reads all of the
  // user's videos by their index, and keeps those that are in the project's
  const isTheirs = isSmall || isFound ? Prisma.sql`IS NOT DISTINCT FROM` : Prisma.sql`=`
  if (userId) base.push(Prisma.sql`v."userId" ${isTheirs} ${userId}::uuid`)
  if (projectId) base.push(Prisma.sql`v."projectId" = ${projectId}::uuid`)
  if (sceneId) base.push(Prisma.sql`v."sceneId" = ${sceneId}::uuid`)
  if (ids) base.push(Prisma.sql`v.id = ANY(${ids}::uuid[])`)
  if (scriptId) {
    narrow.push(Prisma.sql`v."scriptId" = ${scriptId}::uuid`)
    // the index is by project
    if (!projectId)
      base.push(
        Prisma.sql`v."projectId" = (SELECT t."projectId" FROM "Script" t WHERE t.id = ${scriptId}::uuid)`,
      )
  }
  if (createdFrom) base.push(Prisma.sql`v.id >= ${firstV7At(Date.parse(createdFrom))}::uuid`)
  if (createdTo) base.push(Prisma.sql`v.id < ${firstV7At(Date.parse(createdTo))}::uuid`)
  const { status, errorCode } = filter
  const branches = isSmall
    ? null
    : errorCode
      ? { column: 'errorCode' as const, values: errorCode }
      : status
        ? { column: 'status' as const, values: status }
        : null
  if (status && branches?.column !== 'status')
    narrow.push(isAny(Prisma.sql`v.status::text`, status))
  if (errorCode && branches?.column !== 'errorCode')
    narrow.push(isAny(Prisma.sql`v."errorCode"`, errorCode))
  if (filter.phase) narrow.push(isAny(Prisma.sql`v.phase`, filter.phase))
  if (filter.provider) narrow.push(isAny(Prisma.sql`v.provider`, filter.provider))
  if (filter.model) narrow.push(isAny(Prisma.sql`v.model`, filter.model))
  if (filter.metadata) narrow.push(...metadataFits(filter.metadata))
  if (filter.q) narrow.push(textFits(filter.q))
  return {
    base: and(base),
    fits: and([Prisma.sql`v."erasedAt" IS NULL`, ...narrow]),
    isNarrow: narrow.length > 0,
    branches,
  }
}
