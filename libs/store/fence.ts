/** What the statements that record reports have in common. */
import type { Change, OwedEvent, Report } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'

/**
 * `applied`: recorded, or standing in its row already. `late`: a result after the end, noted on the
 * timeline. `stale`: refused. `locked`: somebody else holds the row; nothing was done, to be tried
 * again.
 */
export type Fate = 'applied' | 'late' | 'stale' | 'locked'

/** What became of a report, and the event it caused: its own, the last of its video now. */
export interface Outcome {
  fate: Fate
  event: OwedEvent | null
}

export type Changed = Report & { change: Change }

/**
 * An array for Postgres of values that need no quotes. In and out of the hot statements everything
 * goes as one text: Prisma takes longer over each value than Postgres over its row.
 */
export const array = (values: (string | number)[]): string => `{${values.join(',')}}`

/** A row `i(id, attempt, epoch, no)` for each report. */
export const fenced = (reports: Report[]) =>
  Prisma.sql`unnest(${array(reports.map((r) => r.id))}::uuid[], ${array(reports.map((r) => r.attempt))}::int[], ${array(reports.map((r) => r.epoch))}::bigint[], ${array(reports.map((r) => r.no))}::int[]) AS i(id, attempt, epoch, no)`

/** The fence, of a row `v` and a report `i`. */
// rule: fence: nothing after the end
// rule: fence: the attempt
// rule: fence: the epoch
// rule: fence: the report number
export const passesFence = Prisma.sql`v.attempt = i.attempt AND v.status IN ('pending', 'generating') AND v.epoch = i.epoch AND v."reportNo" < i.no`

/**
 * The row `v` of each `i`, by its primary key. Taken without waiting for whoever holds one: that
 * one is left out, and nobody else waits for it. Two statements at once cannot stand in each
 * other's way. The limit leaves Postgres no other way to a row than its key: a plan that was made
 * while there were few videos would join all of them, and go on so with many.
 */
// rule: one locked row is put aside alone
export const takenRow = Prisma.sql`CROSS JOIN LATERAL (SELECT *, xmin::text AS revision FROM "SceneVideo" WHERE id = i.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) v`

/**
 * Why reports changed nothing: what they say stands in the row (applied), the row is newer (stale,
 * not in the answer), or it was held by somebody else. An end is news to an ended row, too. Read
 * after the fact: a row that has changed since is tried again in vain, and nothing more.
 */
export async function whyNot(
  db: Database,
  reports: Report[],
  kind: 'ends' | 'others' = 'others',
): Promise<Map<string, Fate>> {
  const rows = await db.$queryRaw<{ id: string; applied: boolean }[]>`
    SELECT v.id, v."reportNo" = i.no AS applied FROM ${fenced(reports)} JOIN "SceneVideo" v USING (id)
    WHERE v.attempt = i.attempt AND v.epoch = i.epoch AND (v."reportNo" = i.no OR (v."reportNo" < i.no AND (v.status IN ('pending', 'generating') OR ${kind === 'ends'})))`
  return new Map(rows.map(({ id, applied }) => [id, applied ? 'applied' : 'locked']))
}
