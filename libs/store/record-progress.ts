/**
 * Reports of a video that goes on: to generating, or further in it, with the timeline's row and the
 * event.
 *
 * One statement, and a second one where not every report was recorded. Locks the rows without
 * waiting. Index: the primary key of SceneVideo. What was recorded comes back as one text.
 */
import type { Status } from '#libs/scene-video/scene-video.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import {
  array,
  passesFence,
  takenRow,
  whyNot,
  type Changed,
  type Fate,
  type Outcome,
} from './fence.ts'
import { Prisma } from './generated/client.ts'
import { toVideoEvent, type VideoRow } from './rows.ts'

type Recorded = [timelineId: number, snapshot: VideoRow & { was: Status }, after: number | null]

/**
 * Where the event before the first report stands: submit has published that one. Those after it are
 * published here.
 */
const storedBefore = Prisma.sql`CASE r.event WHEN 'generating' THEN (
  SELECT t.sequence FROM "Timeline" t WHERE t."videoId" = r."videoId" AND t.version = r.version - 1 AND t.sequence IS NOT NULL LIMIT 1
) END`

export async function recordProgress(
  db: Database,
  reports: Changed[],
): Promise<[string, Outcome][]> {
  const changes = reports.map((report) => report.change)
  const [found] = await db.$queryRaw<{ recorded: string | null }[]>`
    WITH held AS (
      SELECT v.id, i.no, i.phase, i.progress
      FROM unnest(
        ${array(reports.map((r) => r.id))}::uuid[], ${array(reports.map((r) => r.attempt))}::int[], ${array(reports.map((r) => r.epoch))}::bigint[], ${array(reports.map((r) => r.no))}::int[],
        ${array(changes.map((c) => c.phase))}::text[], ${array(changes.map((c) => c.progress ?? 'NULL'))}::int[]
      ) AS i(id, attempt, epoch, no, phase, progress) ${takenRow}
      WHERE ${passesFence}
    ), applied AS (
      UPDATE "SceneVideo" v SET
        "reportNo" = h.no, "updatedAt" = now(), version = v.version + 1, status = 'generating', phase = h.phase, progress = h.progress, "startedAt" = coalesce(v."startedAt", now()), "dueAt" = NULL
      FROM held h WHERE v.id = h.id
      RETURNING new.*, old.status AS was
    ), recorded AS (
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, epoch, snapshot, owed)
      SELECT a.id, a.version, a.attempt, e.event, e.event, a.status, a.phase, a.progress, 'status', a.epoch, to_jsonb(a), true
      FROM applied a CROSS JOIN LATERAL (SELECT CASE WHEN a.was = 'pending' THEN 'generating' ELSE 'progress' END AS event) e
      RETURNING id, snapshot, "videoId", version, event
    )
    SELECT '[' || string_agg('[' || r.id || ',' || r.snapshot::text || ',' || coalesce(${storedBefore}::text, 'null') || ']', ',') || ']' AS recorded FROM recorded r`
  const events = new Map(
    (JSON.parse(found?.recorded ?? '[]') as Recorded[]).map((recorded) => {
      const event = owedEvent(recorded)
      return [event.body.id, event]
    }),
  )
  const fates = events.size === reports.length ? new Map<string, Fate>() : await whyNot(db, reports)
  return reports.map(({ id }) => {
    const event = events.get(id) ?? null
    if (event) return [id, { fate: 'applied', event }]
    // one that stands in its row has its event on the timeline: it is refused as it was before
    return [id, { fate: fates.get(id) === 'locked' ? 'locked' : 'stale', event: null }]
  })
}

function owedEvent([timelineId, snapshot, after]: Recorded): OwedEvent {
  const body = toVideoEvent(snapshot)
  return {
    timelineId: BigInt(timelineId),
    event: snapshot.was === 'pending' ? 'generating' : 'progress',
    at: body.updatedAt,
    body,
    ...(after === null ? {} : { after }),
  }
}
