/**
 * Pending videos that somebody has to look at now: what waits (a told time, a deadline, a cancel,
 * work that got lost) has an instant in its row, `dueAt`, and is found by it however its process
 * ended. One that was accepted is looked at, too, until its first report: its process may have
 * ended before it was queued for the pollers. Index: SceneVideo(dueAt).
 */
import type { PendingTimes, VideoFacts } from '#libs/scene-video/decisions.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'

export interface DueVideo extends PendingTimes, VideoFacts {
  id: string
  userId: string
}

/** For how long whoever has a video in hand has it to himself, unless he says so again. */
export const heldSeconds = 20

/**
 * Within the time that it is held; as it is already, where that will do: a column that is left as
 * it is costs no entry in its index.
 */
export const dueAfterAcceptance = Prisma.sql`CASE WHEN v."dueAt" BETWEEN now() + ${heldSeconds / 2}::int * interval '1 second' AND now() + ${heldSeconds}::int * interval '1 second'
  THEN v."dueAt" ELSE now() + ${heldSeconds}::int * interval '1 second' END`

/** Accepted, and nobody's, as far as its row tells; after a retry that names an owner of old. */
const isUnowned = Prisma.sql`v."taskId" IS NOT NULL AND (v.session IS NULL OR v.attempt > 1)`

/** The videos that have been due longest, each found by one caller. Locks no row for longer. */
export async function takeDueVideos(db: Database, limit: number): Promise<DueVideo[]> {
  const rows = await db.$queryRaw<(DueVideo & { isOpen: boolean })[]>`
    WITH due AS (
      SELECT id FROM "SceneVideo" WHERE "dueAt" <= now() ORDER BY "dueAt" LIMIT ${limit}::int FOR UPDATE SKIP LOCKED
    )
    UPDATE "SceneVideo" v SET "dueAt" = CASE WHEN v.status = 'pending' AND (v."taskId" IS NULL OR v.session IS NULL) THEN now() + ${heldSeconds}::int * interval '1 second' END
    FROM due WHERE v.id = due.id
    RETURNING v.id, v."userId", v.attempt, v.status, v.phase, v."taskId", v."cancelRequested", v."waitReason", v.status = 'pending' AND (v."taskId" IS NULL OR ${isUnowned}) AS "isOpen",
      (extract(epoch FROM v."deadlineAt" - now()) * 1000)::float8 AS "untilDeadlineMs", (extract(epoch FROM now() - v."requestedAt") * 1000)::float8 AS "requestedMs"`
  return rows.filter((row) => row.isOpen)
}

/** Still in hand here: nobody else needs to look, but for a deadline or a cancel. */
export async function keepVideos(db: Database, ids: string[]): Promise<void> {
  await db.$executeRaw`
    UPDATE "SceneVideo" v SET "updatedAt" = now(), "dueAt" = CASE WHEN v."cancelRequested" THEN v."dueAt" ELSE least(now() + ${heldSeconds}::int * interval '1 second', v."deadlineAt") END
    WHERE v.id = ANY(${ids}::uuid[]) AND v.status = 'pending' AND v."taskId" IS NULL`
}

/**
 * What others had in hand is due at once, but for what was told to wait: they may have died.
 * Whoever is alive goes on all the same.
 */
export async function handBackVideos(db: Database): Promise<number> {
  return db.$executeRaw`
    UPDATE "SceneVideo" v SET "dueAt" = CASE WHEN v."waitUntil" IS NULL THEN now() ELSE greatest(now(), least(v."waitUntil", v."deadlineAt")) END
    WHERE v."dueAt" > now() AND v.status = 'pending' AND v."taskId" IS NULL`
}
