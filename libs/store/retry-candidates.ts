/**
 * Failed videos that a retry of many would take, and what it would cost. Left out unless asked for:
 * what its user cancelled, what a policy refused, and what is superseded: its scene has a newer
 * video that completed.
 */
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { filterSql, type VideoFilter } from './video-filter.ts'

/** Reasons to leave a failed video alone. */
export const leftOut = ['cancelled', 'content_policy', 'superseded'] as const
export type LeftOut = (typeof leftOut)[number]

/**
 * What a retry first finds: a result that came too late (`late`), a task that runs (`adopted`),
 * nothing, so that it pays anew (`creates`), or a send nobody knows the fate of yet (`waiting`).
 */
export type RetryCost = 'late' | 'adopted' | 'creates' | 'waiting'

export interface Candidate {
  id: string
  attempt: number
  /** Null where it costs nothing. */
  cost: RetryCost | null
  provider: string
  model: string
  /** Length that was asked for. */
  seconds: number | null
}

const made = Prisma.sql`v.id, v.attempt, v.provider, v.model, (v.params->>'durationSeconds')::int AS seconds`

/** No more than these at once. */
export const mostAtOnce = 10_000

async function retryCandidates(
  db: Database,
  filter: VideoFilter,
  include: readonly LeftOut[],
  failedBy: Date | null,
): Promise<Candidate[]> {
  const { base, fits } = filterSql({ ...filter, status: undefined })
  const codes = leftOut.filter((one) => one !== 'superseded' && !include.includes(one))
  const errors = filter.errorCode
    ? Prisma.sql`v."errorCode" = ANY(${filter.errorCode}::text[])`
    : Prisma.sql`true`
  const named = filter.errorCode ?? []
  const excluded = codes.filter((one) => !named.includes(one))
  const superseded = include.includes('superseded')
    ? Prisma.sql`true`
    : Prisma.sql`NOT EXISTS (SELECT 1 FROM "SceneVideo" n WHERE n."sceneId" = v."sceneId" AND n.id > v.id AND n.status = 'completed')`
  return db.$queryRaw<Candidate[]>`
    SELECT ${made}, CASE
      WHEN EXISTS (SELECT 1 FROM "Submission" s WHERE s."videoId" = v.id AND s.outcome = 'completed') THEN 'late'
      WHEN EXISTS (SELECT 1 FROM "Submission" s WHERE s."videoId" = v.id AND s."taskId" IS NOT NULL AND s.outcome IS NULL AND s."settledAt" IS NULL) THEN 'adopted'
      WHEN EXISTS (SELECT 1 FROM "Submission" s WHERE s."videoId" = v.id AND s."taskId" IS NULL AND (s.answer IS NULL OR s.answer = 'unreadable')) THEN 'waiting'
      ELSE 'creates' END AS cost
    FROM "SceneVideo" v
    WHERE ${base} AND v.status = 'failed' AND ${fits} AND ${errors} AND coalesce(v."errorCode", '') <> ALL(${excluded}::text[]) AND ${superseded}
      AND (${failedBy}::timestamptz IS NULL OR v."completedAt" <= ${failedBy}::timestamptz)
    ORDER BY v.id LIMIT ${mostAtOnce + 1}::int`
}

/** Open videos, for a cancel of many; what it costs is nothing. */
async function cancelCandidates(db: Database, filter: VideoFilter) {
  const { base, fits } = filterSql({ ...filter, status: undefined })
  const status = filter.status ?? ['pending', 'generating']
  return db.$queryRaw<Candidate[]>`
    SELECT ${made}, NULL AS cost FROM "SceneVideo" v
    WHERE ${base} AND v.status IN ('pending', 'generating') AND v.status::text = ANY(${status}::text[]) AND ${fits}
    ORDER BY v.id LIMIT ${mostAtOnce + 1}::int`
}

/** A video that was asked for by its id and is left out, and why. */
export interface LeftOutVideo {
  id: string
  /** 0 where there is no such video. */
  attempt: number
  code: string
}

/** Why each of these, which is no candidate, is none. Index: the primary key. */
async function whyLeftOut(
  db: Database,
  userId: string,
  ids: readonly string[],
  action: 'retry' | 'cancel',
): Promise<LeftOutVideo[]> {
  return db.$queryRaw<LeftOutVideo[]>`
    SELECT i.id, coalesce(v.attempt, 0) AS attempt, CASE
      WHEN v.id IS NULL THEN 'not_found'
      WHEN ${action} = 'cancel' THEN 'already_terminal'
      WHEN v.status <> 'failed' THEN 'not_failed'
      WHEN v."errorCode" = ANY(${leftOut.filter((one) => one !== 'superseded')}::text[]) THEN v."errorCode"
      ELSE 'superseded' END AS code
    FROM unnest(${ids}::uuid[]) AS i(id) LEFT JOIN "SceneVideo" v ON v.id = i.id AND v."userId" = ${userId}::uuid AND v."erasedAt" IS NULL`
}

export function costsOf(candidates: readonly Candidate[]): Record<RetryCost, number> {
  const costs = { late: 0, adopted: 0, creates: 0, waiting: 0 }
  for (const { cost } of candidates) if (cost) costs[cost]++
  return costs
}

export class Retries {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Up to `mostAtOnce` and one more, by id. */
  ofFailed(
    filter: VideoFilter,
    include: readonly LeftOut[],
    failedBy: Date | null = null,
  ): Promise<Candidate[]> {
    return retryCandidates(this.#db, filter, include, failedBy)
  }

  ofOpen(filter: VideoFilter): Promise<Candidate[]> {
    return cancelCandidates(this.#db, filter)
  }

  /** Of the ids that were asked for, those without a candidate, each with its reason. */
  async leftOut(
    userId: string,
    { ids = [], action }: { ids?: readonly string[] | undefined; action: 'retry' | 'cancel' },
    candidates: readonly Candidate[],
  ): Promise<LeftOutVideo[]> {
    const found = new Set(candidates.map((one) => one.id))
    const rest = [...new Set(ids)].filter((one) => !found.has(one))
    return rest.length ? whyLeftOut(this.#db, userId, rest, action) : []
  }
}
