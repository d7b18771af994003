/**
 * Commits bids for ownership: the epoch of a bid becomes the row's, and what its owner needs to
 * poll comes back.
 *
 * One statement. Locks the rows of the bids, and leaves out those that somebody else holds
 * (`undecided`). Indexes: the primary keys of SceneVideo and Submission.
 */
import type { Grant } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { takenRow } from './fence.ts'

export interface Bid {
  id: string
  epoch: string
}

/** A bid that is in neither list is refused for good. */
export interface Claimed {
  grants: Grant[]
  /** Somebody else holds the row: to be asked again. */
  undecided: string[]
}

type Row = Omit<Grant, 'epoch'> & { epoch: bigint }

/**
 * Grants bids whose epoch is above the row's, and bids committed before. A bid that cannot be
 * granted raises no epoch. Address and key are those of the send whose task the row names; of the
 * newest send, where none has that task (a second task under one own id).
 */
export async function commitClaims(db: Database, session: string, bids: Bid[]): Promise<Claimed> {
  const ids = bids.map((bid) => bid.id)
  const epochs = bids.map((bid) => bid.epoch)
  // rule: a claim commits its epoch
  // rule: a claim below the row’s epoch is refused
  const rows = await db.$queryRaw<Row[]>`
    WITH bid AS (
      SELECT v.id, i.epoch, s."baseUrl", s."keyCipher"
      FROM unnest(${ids}::uuid[], ${epochs}::bigint[]) AS i(id, epoch) ${takenRow}
      CROSS JOIN LATERAL (
        SELECT "baseUrl", "keyCipher" FROM "Submission" WHERE "videoId" = v.id
        ORDER BY coalesce("taskId" = v."taskId", false) DESC, attempt DESC, send DESC LIMIT 1
      ) s
      WHERE v.status IN ('pending', 'generating') AND v."taskId" IS NOT NULL
    ), owned AS (
      UPDATE "SceneVideo" v SET epoch = b.epoch, "reportNo" = CASE WHEN v.epoch = b.epoch THEN v."reportNo" ELSE 0 END, session = ${session}
      FROM bid b WHERE v.id = b.id AND (v.epoch < b.epoch OR (v.epoch = b.epoch AND v.session = ${session}))
      RETURNING v.*, b."baseUrl", b."keyCipher"
    )
    SELECT id, epoch, attempt, "userId", status::text AS status, phase, progress, provider, model, "taskId", "baseUrl", "keyCipher", "reportNo", "cancelRequested",
      (extract(epoch FROM now() - coalesce("submittedAt", "createdAt")) * 1000)::float8 AS "sinceSubmittedMs",
      (extract(epoch FROM now() - "updatedAt") * 1000)::float8 AS "sinceSignOfLifeMs",
      (extract(epoch FROM "deadlineAt" - now()) * 1000)::float8 AS "untilDeadlineMs"
    FROM owned`
  const grants = rows.map((row) => ({ ...row, epoch: row.epoch.toString() }))
  if (grants.length === bids.length) return { grants, undecided: [] }
  const granted = new Set(grants.map((grant) => grant.id))
  const left = bids.filter((bid) => !granted.has(bid.id))
  return { grants, undecided: await stillOpen(db, session, left) }
}

/** Of bids without a grant, those that the row itself does not refuse. */
async function stillOpen(db: Database, session: string, bids: Bid[]): Promise<string[]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    SELECT v.id FROM unnest(${bids.map((b) => b.id)}::uuid[], ${bids.map((b) => b.epoch)}::bigint[]) AS b(id, epoch) JOIN "SceneVideo" v USING (id)
    WHERE v.status IN ('pending', 'generating') AND v."taskId" IS NOT NULL AND (v.epoch < b.epoch OR (v.epoch = b.epoch AND v.session = ${session}))
      AND EXISTS (SELECT 1 FROM "Submission" WHERE "videoId" = v.id)`
  return rows.map((row) => row.id)
}
