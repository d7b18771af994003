/**
 * Reports without a change: `updatedAt` moves, and nothing else.
 *
 * One statement, and a second one where not every report was recorded. Locks the rows without
 * waiting. Index: the primary key of SceneVideo.
 */
import type { Report } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { fenced, passesFence, takenRow, whyNot, type Outcome } from './fence.ts'

export async function recordSignsOfLife(
  db: Database,
  reports: Report[],
): Promise<[string, Outcome][]> {
  const count = await db.$executeRaw`
    WITH held AS (
      SELECT v.id, i.no FROM ${fenced(reports)} ${takenRow} WHERE ${passesFence}
    )
    UPDATE "SceneVideo" v SET "reportNo" = h.no, "updatedAt" = now() FROM held h WHERE v.id = h.id`
  const fates = count === reports.length ? null : await whyNot(db, reports)
  return reports.map(({ id }) => [
    id,
    { fate: fates === null ? 'applied' : (fates.get(id) ?? 'stale'), event: null },
  ])
}
