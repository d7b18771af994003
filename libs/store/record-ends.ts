/**
 * Reports of an end: the row, the send it settles, and one event; two where the first thing heard
 * of a video is that it is done (generating, then completed). A result that comes after the end is
 * noted on the timeline as late.
 *
 * One statement, and a second one where not every report was recorded. Locks the rows, then the
 * sends of these, without waiting. Indexes: the primary keys of SceneVideo and Submission.
 */
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { passesFence, takenRow, whyNot, type Changed, type Fate, type Outcome } from './fence.ts'
import { Prisma } from './generated/client.ts'
import { toVideoEvent, type VideoRow } from './rows.ts'

interface Recorded {
  id: string
  timelineId: bigint
  event: string
  at: Date
  snapshot: VideoRow
}

export async function recordEnds(db: Database, reports: Changed[]): Promise<[string, Outcome][]> {
  const rows = await db.$queryRaw<(Recorded & { fate: Fate })[]>`
    WITH input AS (SELECT * FROM ${inputOf(reports)}),
    held AS (
      SELECT v.id, v.status, v.version, v.attempt, v.epoch, v."reportNo" FROM input i ${takenRow}
    ), fit AS (
      SELECT i.*, v.status AS was FROM input i JOIN held v USING (id) WHERE ${passesFence}
    ), ${applied}, ${settled}, ${recorded}, ${late}
    SELECT i.id, CASE WHEN r.id IS NOT NULL THEN 'applied' WHEN l."videoId" IS NOT NULL THEN 'late' ELSE 'stale' END AS fate,
      r.id AS "timelineId", r.event, r.at, r.snapshot
    FROM input i LEFT JOIN recorded r ON r."videoId" = i.id LEFT JOIN late l ON l."videoId" = i.id`
  const refused = new Set(rows.filter((row) => row.fate === 'stale').map((row) => row.id))
  const fates = refused.size
    ? await whyNot(
        db,
        reports.filter((report) => refused.has(report.id)),
        'ends',
      )
    : new Map<string, Fate>()
  return rows.map((row) => {
    if (row.fate === 'applied') return [row.id, { fate: 'applied', event: owedEvent(row) }]
    const fate = row.fate === 'stale' && fates.get(row.id) === 'locked' ? 'locked' : row.fate
    return [row.id, { fate, event: null }]
  })
}

const owedEvent = ({ timelineId, event, at, snapshot }: Recorded): OwedEvent => ({
  timelineId,
  event,
  at: at.toISOString(),
  body: toVideoEvent(snapshot),
})

/** One row a report. */
function inputOf(reports: Changed[]) {
  const changes = reports.map((report) => report.change)
  return Prisma.sql`unnest(
    ${reports.map((r) => r.id)}::uuid[], ${reports.map((r) => r.attempt)}::int[], ${reports.map((r) => r.epoch)}::bigint[], ${reports.map((r) => r.no)}::int[],
    ${changes.map((c) => c.status)}::text[], ${changes.map((c) => c.phase)}::text[], ${changes.map((c) => c.progress)}::int[],
    ${changes.map((c) => c.videoUrl)}::text[], ${changes.map((c) => c.videoUrlExpiresAt)}::timestamptz[],
    ${changes.map((c) => c.error?.code ?? null)}::text[], ${changes.map((c) => c.error?.message ?? null)}::text[]
  ) AS i(id, attempt, epoch, no, status, phase, progress, url, expires, code, message)`
}

const applied = Prisma.sql`applied AS (
  UPDATE "SceneVideo" v SET
    "reportNo" = f.no, "updatedAt" = now(),
    version = v.version + CASE WHEN f.was = 'pending' AND f.status = 'completed' THEN 2 ELSE 1 END,
    status = f.status::"Status", phase = f.phase, progress = f.progress,
    "videoUrl" = coalesce(f.url, v."videoUrl"), "videoUrlExpiresAt" = coalesce(f.expires, v."videoUrlExpiresAt"),
    "errorCode" = f.code, "errorMessage" = f.message,
    "startedAt" = CASE WHEN f.status = 'completed' THEN coalesce(v."startedAt", now()) ELSE v."startedAt" END, "completedAt" = now(), "dueAt" = NULL
  FROM fit f WHERE v.id = f.id RETURNING v.*, f.was
)`

/**
 * What became of the send is known for good, but where we gave up waiting: for its end, or for the
 * link of what is done. A send that somebody else holds is left unsettled: it is looked up.
 */
const settled = Prisma.sql`sends AS (
  SELECT s."videoId", s.attempt, s.send, a.status FROM applied a JOIN "Submission" s ON s."videoId" = a.id AND s."taskId" = a."taskId"
  WHERE a.status = 'completed' OR a."errorCode" NOT IN ('cancelled', 'timed_out', 'no_result') FOR NO KEY UPDATE OF s SKIP LOCKED
), settled AS (
  UPDATE "Submission" s SET "settledAt" = now(), outcome = l.status FROM sends l WHERE s."videoId" = l."videoId" AND s.attempt = l.attempt AND s.send = l.send
)`

/**
 * Timeline ids are given in the order of inserting, and events go out in the order of these ids: so
 * the end is inserted after the `generating` before it. A data-modifying CTE runs when it is read
 * first, which the count makes happen.
 */
const recorded = Prisma.sql`first_seen AS (
  INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, epoch, snapshot, owed)
  SELECT a.id, a.version - 1, a.attempt, 'generating', 'generating', 'generating', 'running', a.progress, 'status', a.epoch,
    to_jsonb(a) || jsonb_build_object('status', 'generating', 'phase', 'running', 'version', a.version - 1, 'videoUrl', null, 'videoUrlExpiresAt', null, 'completedAt', null), true
  FROM applied a WHERE a.was = 'pending' AND a.status = 'completed' RETURNING id
), recorded AS (
  INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, epoch, detail, snapshot, owed)
  SELECT a.id, a.version, a.attempt, a.status, a.status, a.status, a.phase, a.progress, 'status', a.epoch,
    CASE WHEN a."errorCode" IS NULL THEN NULL ELSE jsonb_build_object('code', a."errorCode", 'message', a."errorMessage") END, to_jsonb(a), true
  FROM applied a
  WHERE (SELECT count(*) FROM first_seen) >= 0
  RETURNING id, "videoId", event, at, snapshot
)`

const late = Prisma.sql`late AS (
  INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service, detail)
  SELECT v.id, v.version, i.attempt, 'late', v.status, 'done', i.progress, 'status', jsonb_build_object('said', i.status, 'videoUrl', i.url)
  FROM input i JOIN held v USING (id) WHERE v.status IN ('completed', 'failed') AND v.attempt = i.attempt AND v.epoch = i.epoch AND v."reportNo" < i.no
  RETURNING "videoId"
)`
