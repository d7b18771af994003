/**
 * What stopped on its way: the reconciler's and the starting services' questions to Postgres. Every
 * list is whole, however long: it is read in pages by id. None of them locks a row.
 */
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'

const pageSize = 10_000
const openStatuses = ['pending', 'generating'] as const
/** An owner acts on a deadline by itself within this. */
const deadlineGraceMs = 2_000

interface OpenVideo {
  id: string
  taskId: string
  epoch: bigint
}

/** What was promised to a person of a video in hand, and is not kept yet. */
export interface Promised {
  id: string
  promise: 'cancel' | 'deadline'
}

export interface Promises {
  unkept: Promised[]
  anyInHand: boolean
}

export class Recovery {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Pending videos that were due `overdueMs` ago, and nobody has acted: whatever waits is not due,
   * and whoever has one in hand says so (see due-videos.ts).
   */
  async pendingVideos(overdueMs: number): Promise<string[]> {
    const overdue = Prisma.sql`coalesce("dueAt", "updatedAt") <= now() - ${overdueMs}::int * interval '1 millisecond'`
    const videos = await this.#open(['pending'], Prisma.sql`"taskId" IS NULL AND ${overdue}`)
    return videos.map((video) => video.id)
  }

  /** Videos with a task that nobody has recorded anything of for `idleMs`. */
  staleVideos(idleMs: number): Promise<OpenVideo[]> {
    const idle = Prisma.sql`"updatedAt" < now() - ${idleMs}::int * interval '1 millisecond'`
    return this.#open(openStatuses, Prisma.sql`"taskId" IS NOT NULL AND ${idle}`)
  }

  /** Ids of all videos that have a task and are not ended. */
  async videosWithOpenTask(): Promise<string[]> {
    const videos = await this.#open(openStatuses, Prisma.sql`"taskId" IS NOT NULL`)
    return videos.map((video) => video.id)
  }

  /** In order of their ids. Index: (status, id). */
  async #open(
    statuses: readonly (typeof openStatuses)[number][],
    condition: Prisma.Sql,
  ): Promise<OpenVideo[]> {
    const found: OpenVideo[] = []
    for (const status of statuses) {
      for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
        const page = await this.#db.$queryRaw<OpenVideo[]>`
          SELECT id, "taskId", epoch FROM "SceneVideo" WHERE status = ${status}::"Status" AND id > ${after}::uuid AND ${condition} ORDER BY id LIMIT ${pageSize}::int`
        found.push(...page)
        if (page.length < pageSize) break
        after = page.at(-1)!.id
      }
    }
    return found
  }

  /**
   * Videos with a task whose cancel was asked for, or whose deadline has passed, and which have not
   * ended. And whether any is in hand, so that there may be such soon.
   * Indexes: (status, cancelRequested), (status, deadlineAt), (status, id).
   */
  async unkeptPromises(limit = 5_000): Promise<Promises> {
    const rows = await this.#db.$queryRaw<(Promised | { id: string; promise: 'none' })[]>`
      (SELECT id, 'cancel' AS promise FROM "SceneVideo" WHERE status IN ('pending', 'generating') AND "cancelRequested" AND "taskId" IS NOT NULL LIMIT ${limit}::int)
      UNION ALL
      (SELECT id, 'deadline' AS promise FROM "SceneVideo" WHERE status IN ('pending', 'generating') AND "deadlineAt" < now() - ${deadlineGraceMs}::int * interval '1 millisecond'
        AND "taskId" IS NOT NULL AND NOT "cancelRequested" LIMIT ${limit}::int)
      UNION ALL
      (SELECT id, 'none' AS promise FROM "SceneVideo" WHERE status = 'generating' ORDER BY id LIMIT 1)`
    const unkept = rows.filter((row) => row.promise !== 'none')
    return { unkept, anyInHand: rows.length > 0 }
  }

  /** Which of these videos need no owner any more: ended, or not known. Index: the primary key. */
  async ended(ids: string[]): Promise<string[]> {
    const found: string[] = []
    for (let from = 0; from < ids.length; from += pageSize) {
      const some = ids.slice(from, from + pageSize)
      found.push(
        ...(await this.#ids(this.#db.$queryRaw`
          SELECT i.id FROM unnest(${some}::uuid[]) AS i(id) LEFT JOIN "SceneVideo" v USING (id) WHERE v.id IS NULL OR v.status IN ('completed', 'failed')`)),
      )
    }
    return found
  }

  /**
   * Failed videos with a send whose fate at the provider is not known, within the life of results
   * (`lifeMs`, the longest of any provider). Index: (settledAt, intentAt).
   * Each is looked at again when its age has grown by an eighth, at the earliest after `leastMs`:
   * some seventy times in its life, however often this is asked.
   */
  async unsettledVideos(lifeMs: number, leastMs = 10_000, limit = 500): Promise<string[]> {
    return this.#ids(this.#db.$queryRaw`
      SELECT v.id FROM "Submission" s JOIN "SceneVideo" v ON v.id = s."videoId"
      WHERE s."settledAt" IS NULL AND v.status = 'failed' AND s."intentAt" > now() - ${lifeMs}::float8 * interval '1 millisecond'
        AND coalesce(s."lookedAt", s."intentAt") <= now() - greatest(${leastMs}::int * interval '1 millisecond', (coalesce(s."lookedAt", s."intentAt") - s."intentAt") / 8)
      GROUP BY v.id ORDER BY min(coalesce(s."lookedAt", s."intentAt")) LIMIT ${limit}::int`)
  }

  /** The greatest epoch of a video in hand. */
  async highestEpoch(): Promise<bigint> {
    const rows = await this.#db.$queryRaw<
      { epoch: bigint }[]
    >`SELECT coalesce(max(epoch), 0) AS epoch FROM "SceneVideo" WHERE status IN ('pending', 'generating')`
    return rows[0]!.epoch
  }

  /**
   * Raises and returns the generation: before the NATS store is made anew, or after Postgres was
   * restored. The row is above every epoch ever given out; only where it is missing the videos are
   * asked, however long that takes.
   */
  async raiseGeneration(): Promise<number> {
    return this.#db.$transaction(
      async (tx) => {
        const raised = await tx.$queryRaw<{ generation: number }[]>`
          UPDATE "System" SET generation = generation + 1 WHERE id = 1 RETURNING generation`
        if (raised[0]) return raised[0].generation
        await tx.$executeRaw`SET LOCAL statement_timeout = 0`
        const made = await tx.$queryRaw<{ generation: number }[]>`
          INSERT INTO "System" (id, generation) SELECT 1, coalesce(max(epoch), 0) / 4294967296 + 1 FROM "SceneVideo"
          ON CONFLICT (id) DO UPDATE SET generation = "System".generation + 1 RETURNING generation`
        return made[0]!.generation
      },
      { timeout: 600_000 },
    )
  }

  /**
   * Rows of the timeline stay, but what their event carried is needed only while the stream holds
   * it: of published events older than `days` it is dropped. Looks at the next rows after `after`,
   * and says where to go on; the same place when they are too young yet. Index: the primary key.
   */
  async forgetOldSnapshots(after: bigint, days: number): Promise<{ after: bigint; rows: number }> {
    const [found] = await this.#db.$queryRaw<{ last: bigint | null; rows: number }[]>`
      WITH page AS (
        SELECT id, at, owed FROM "Timeline" WHERE id > ${after}::bigint ORDER BY id LIMIT ${pageSize}::int
      ), old AS (
        SELECT id, owed FROM page WHERE at < now() - ${days}::int * interval '1 day'
      ), forgotten AS (
        UPDATE "Timeline" t SET snapshot = NULL FROM old WHERE t.id = old.id AND NOT old.owed AND NOT t.owed AND t.snapshot IS NOT NULL RETURNING t.id
      )
      SELECT (SELECT max(id) FROM old) AS last, (SELECT count(*) FROM forgotten)::int AS rows`
    return { after: found?.last ?? after, rows: found?.rows ?? 0 }
  }

  /** Idempotency keys are kept for 24 h. */
  async forgetOldKeys(): Promise<number> {
    return this.#db
      .$executeRaw`DELETE FROM "IdempotencyKey" WHERE "createdAt" < now() - interval '24 hours'`
  }

  async #ids(query: Promise<unknown>): Promise<string[]> {
    return ((await query) as { id: string }[]).map((row) => row.id)
  }
}
