/**
 * Reports of words that we do not know: the word goes onto the timeline, once for an attempt, and
 * `updatedAt` moves. No version and no event: the video stands where it stood.
 *
 * One statement, and a second one where not every report was recorded. Locks the rows without
 * waiting. Indexes: the primary key of SceneVideo, the timeline's of its video.
 */
import type { Report } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { array, passesFence, takenRow, whyNot, type Outcome } from './fence.ts'

export type Said = Report & { said: string }

export async function recordUnknownWords(
  db: Database,
  reports: Said[],
): Promise<[string, Outcome][]> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    WITH held AS (
      SELECT v.id, v.version, v.attempt, v.status, v.phase, v.progress, v.epoch, i.no, i.said
      FROM unnest(
        ${array(reports.map((r) => r.id))}::uuid[], ${array(reports.map((r) => r.attempt))}::int[], ${array(reports.map((r) => r.epoch))}::bigint[], ${array(reports.map((r) => r.no))}::int[],
        ${reports.map((r) => r.said)}::text[]
      ) AS i(id, attempt, epoch, no, said) ${takenRow}
      WHERE ${passesFence}
    ), noted AS (
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service, epoch, detail)
      SELECT h.id, h.version, h.attempt, 'unknown', h.status, h.phase, h.progress, 'status', h.epoch, jsonb_build_object('said', h.said)
      FROM held h WHERE NOT EXISTS (
        SELECT FROM "Timeline" t WHERE t."videoId" = h.id AND t.attempt = h.attempt AND t.kind = 'unknown' AND t.detail->>'said' = h.said
      )
    )
    UPDATE "SceneVideo" v SET "reportNo" = h.no, "updatedAt" = now() FROM held h WHERE v.id = h.id RETURNING v.id`
  const recorded = new Set(rows.map(({ id }) => id))
  const fates =
    recorded.size === reports.length ? new Map<string, never>() : await whyNot(db, reports)
  return reports.map(({ id }) => [
    id,
    { fate: recorded.has(id) ? 'applied' : (fates.get(id) ?? 'stale'), event: null },
  ])
}
