/**
 * The same act on many videos, as a durable object: who asks for it may go away, and any gateway
 * carries it on. An item is taken for `takenMs`, so what a gateway died over is taken again by
 * another; each names the attempt it means, so done twice it is done once.
 */
import type { Actor, Money } from '#libs/scene-video/scene-video.ts'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import { v7 } from '#libs/runtime/uuid.ts'
import type { Database } from './connect.ts'
import { claimIdempotencyKey } from './idempotency.ts'
import type { LeftOutVideo, RetryCost } from './retry-candidates.ts'

export type BulkActionName = 'retry' | 'cancel'
export type BulkCost = Record<RetryCost, number> & {
  price: (Money & { unpriced: number }) | null
}
export interface BulkActionRecord {
  id: string
  action: BulkActionName
  status: 'running' | 'done' | 'aborted'
  counts: { total: number; todo: number; done: number; refused: number; skipped: number }
  cost: BulkCost
  createdAt: string
  endedAt: string | null
}
export interface BulkItemRecord {
  videoId: string
  attempt: number
  state: 'todo' | 'done' | 'refused' | 'skipped'
  code: string | null
  detail: string | null
  doneAt: string | null
}
export interface BulkJob {
  bulkId: string
  userId: string
  action: BulkActionName
  by: unknown
  videoId: string
  attempt: number
}

const takenMs = 30_000

export class BulkActions {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Or the one that an earlier request under the same key made. */
  async create(
    request: {
      userId: string
      action: BulkActionName
      by: Actor
      videos: { id: string; attempt: number }[]
      left: LeftOutVideo[]
      cost: BulkCost
    },
    idempotencyKey: IdempotencyKey | null,
  ): Promise<string> {
    const { userId, action, by, videos, left, cost } = request
    return this.#db.$transaction(async (tx) => {
      const id = v7()
      const earlier = await claimIdempotencyKey(tx, userId, idempotencyKey, id)
      if (earlier) return earlier
      const status = videos.length ? 'running' : 'done'
      await tx.$executeRaw`
        INSERT INTO "BulkAction" (id, "userId", action, status, by, cost, "endedAt")
        VALUES (${id}::uuid, ${userId}::uuid, ${action}, ${status}, ${JSON.stringify(by)}::jsonb, ${JSON.stringify(cost)}::jsonb, CASE WHEN ${status} = 'done' THEN now() END)`
      await tx.$executeRaw`
        INSERT INTO "BulkItem" ("bulkId", "videoId", attempt)
        SELECT ${id}::uuid, i.id, i.attempt FROM unnest(${videos.map((one) => one.id)}::uuid[], ${videos.map((one) => one.attempt)}::int[]) AS i(id, attempt)`
      await tx.$executeRaw`
        INSERT INTO "BulkItem" ("bulkId", "videoId", attempt, state, code, "doneAt")
        SELECT ${id}::uuid, i.id, i.attempt, 'skipped', i.code, now()
        FROM unnest(${left.map((one) => one.id)}::uuid[], ${left.map((one) => one.attempt)}::int[], ${left.map((one) => one.code)}::text[]) AS i(id, attempt, code)`
      return id
    })
  }

  async get(userId: string, id: string): Promise<BulkActionRecord | null> {
    type Row = Omit<BulkActionRecord, 'counts' | 'createdAt' | 'endedAt'> & {
      createdAt: Date
      endedAt: Date | null
      counts: Record<string, number> | null
    }
    const [row] = await this.#db.$queryRaw<Row[]>`
      SELECT b.id, b.action, b.status, b.cost, b."createdAt", b."endedAt", (
        SELECT jsonb_object_agg(c.state, c.count) FROM (SELECT state, count(*) FROM "BulkItem" WHERE "bulkId" = b.id GROUP BY state) c
      ) AS counts FROM "BulkAction" b WHERE b.id = ${id}::uuid AND b."userId" = ${userId}::uuid`
    if (!row) return null
    const counts = { total: 0, todo: 0, done: 0, refused: 0, skipped: 0 }
    for (const [state, count] of Object.entries(row.counts ?? {})) {
      counts[state as keyof typeof counts] = count
      counts.total += count
    }
    const { createdAt, endedAt } = row
    return {
      ...row,
      // older ones have no price
      cost: { ...row.cost, price: row.cost.price ?? null },
      counts,
      createdAt: createdAt.toISOString(),
      endedAt: endedAt?.toISOString() ?? null,
    }
  }

  /** By the videos' ids, after `after`; null when there is no such action of this user. */
  async results(
    userId: string,
    id: string,
    limit: number,
    after: string | undefined,
  ): Promise<BulkItemRecord[] | null> {
    if (!(await this.#db.bulkAction.count({ where: { id, userId } }))) return null
    const rows = await this.#db.bulkItem.findMany({
      where: { bulkId: id, ...(after ? { videoId: { gt: after } } : {}) },
      orderBy: { videoId: 'asc' },
      take: limit,
    })
    return rows.map(({ videoId, attempt, state, code, detail, doneAt }) => ({
      videoId,
      attempt,
      state: state as BulkItemRecord['state'],
      code,
      detail,
      doneAt: doneAt?.toISOString() ?? null,
    }))
  }

  /** What is in hand is finished, the rest is skipped. False when there is none of this user. */
  async abort(userId: string, id: string): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const found = await tx.$executeRaw`
        UPDATE "BulkAction" SET status = CASE WHEN status = 'running' THEN 'aborted' ELSE status END,
          "endedAt" = coalesce("endedAt", now()) WHERE id = ${id}::uuid AND "userId" = ${userId}::uuid`
      if (!found) return false
      await tx.$executeRaw`
        UPDATE "BulkItem" i SET state = 'skipped', "doneAt" = now() FROM "BulkAction" b
        WHERE b.id = i."bulkId" AND b.id = ${id}::uuid AND b.status = 'aborted' AND i.state = 'todo' AND i."takenAt" IS NULL`
      return true
    })
  }

  /** Users who have an action that is running. */
  async working(): Promise<string[]> {
    const rows = await this.#db.bulkAction.findMany({
      where: { status: 'running' },
      distinct: ['userId'],
      select: { userId: true },
    })
    return rows.map(({ userId }) => userId)
  }

  /**
   * The next items of a user's running actions, the same number of each, so that none waits. Ends
   * the actions that have nothing left to do.
   */
  async take(userId: string, most: number): Promise<BulkJob[]> {
    return this.#db.$queryRaw<BulkJob[]>`
      WITH mine AS MATERIALIZED (SELECT id, "userId", action, by FROM "BulkAction" WHERE "userId" = ${userId}::uuid AND status = 'running'),
      ended AS (
        UPDATE "BulkAction" b SET status = 'done', "endedAt" = now() FROM mine WHERE b.id = mine.id AND b.status = 'running'
          AND NOT EXISTS (SELECT 1 FROM "BulkItem" i WHERE i."bulkId" = b.id AND i.state = 'todo')
      )
      UPDATE "BulkItem" i SET "takenAt" = now() FROM (
        SELECT x."bulkId", x."videoId", m."userId", m.action, m.by FROM mine m CROSS JOIN LATERAL (
          SELECT t."bulkId", t."videoId" FROM "BulkItem" t
          WHERE t."bulkId" = m.id AND t.state = 'todo' AND (t."takenAt" IS NULL OR t."takenAt" < now() - ${takenMs}::int * interval '1 millisecond')
          ORDER BY t."videoId" LIMIT greatest(1, ${most}::int / (SELECT count(*) FROM mine)) FOR UPDATE SKIP LOCKED
        ) x ORDER BY m.id LIMIT ${most}::int
      ) n WHERE i."bulkId" = n."bulkId" AND i."videoId" = n."videoId"
      RETURNING i."bulkId", i."videoId", i.attempt, n."userId", n.action, n.by`
  }

  async finish(
    { bulkId, videoId }: BulkJob,
    refusal: { code: string; detail: string } | null,
  ): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "BulkItem" SET state = ${refusal ? 'refused' : 'done'}, code = ${refusal?.code ?? null}, detail = ${refusal?.detail ?? null}, "doneAt" = now()
      WHERE "bulkId" = ${bulkId}::uuid AND "videoId" = ${videoId}::uuid AND state = 'todo'`
  }
}
