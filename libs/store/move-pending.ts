/**
 * What moves a pending video, each by one statement that also writes the timeline. All but `wait`
 * change nothing when the row is not at the revision they were decided from.
 */
import type { AcceptedHow } from '#libs/scene-video/decisions.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { Phase, VideoError } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { dueAfterAcceptance } from './due-videos.ts'
import { Prisma } from './generated/client.ts'
import type { Loaded } from './pending-video.ts'
import { owedEvent, type Recorded } from './rows.ts'
import { ofAnother } from './sent-tasks.ts'

export interface Pins {
  provider: string
  baseUrl: string
  keyCipher: string
}

/** The row at the revision that a decision was taken from. */
// rule: a decision is written only to the row it was taken from
const unchanged = ({ video, revision }: Loaded) =>
  Prisma.sql`v.id = ${video.id}::uuid AND v.xmin = ${revision}::text::xid`

/** Writes the rows of `moved` to the timeline, their events owed, and returns these. */
const recorded = (event: string, detail: object | null) => Prisma.sql`
  INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, snapshot, owed)
  SELECT m.id, m.version, m.attempt, ${event}, ${event}, m.status, m.phase, m.progress, 'submit', ${detail === null ? null : JSON.stringify(detail)}::jsonb, to_jsonb(m), true
  FROM moved m RETURNING id AS "timelineId", event, at, snapshot`

/** Null when the row has changed; else the revision it now has. */
export async function writeIntent(
  db: Database,
  loaded: Loaded,
  { attempt, send }: { attempt: number; send: number },
  pins: Pins,
  how: 'insert' | 'replace',
): Promise<string | null> {
  const { id } = loaded.video
  const sent =
    how === 'insert'
      ? Prisma.sql`INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
          SELECT id, ${attempt}::int, ${send}::int, ${pins.provider}, ${pins.baseUrl}, ${pins.keyCipher} FROM moved RETURNING 1`
      : Prisma.sql`UPDATE "Submission" s SET send = ${send}::int, answer = NULL, detail = NULL, "intentAt" = now(), "answeredAt" = NULL, "settledAt" = NULL
          FROM moved WHERE s."videoId" = ${id}::uuid AND s.attempt = ${attempt}::int AND s.send = ${send - 1}::int RETURNING 1`
  const [row] = await db.$queryRaw<{ revision: string }[]>`
    WITH moved AS (
      UPDATE "SceneVideo" v SET "updatedAt" = now(), "waitReason" = NULL, "waitUntil" = NULL WHERE ${unchanged(loaded)} RETURNING v.id, v.xmin::text AS revision
    ), sent AS (${sent})
    SELECT revision FROM moved WHERE EXISTS (SELECT 1 FROM sent)`
  return row?.revision ?? null
}

export interface AcceptedTask {
  attempt: number
  send: number
  taskId: string
  how: AcceptedHow
}

/** Where a task is recorded: on its send, or in a row beside it. */
const recordTask = (
  { video: { id }, submissions }: Loaded,
  { attempt, send, taskId, how }: AcceptedTask,
  record: 'on_send' | 'beside' | 'known',
) => {
  const own = Prisma.sql`s."videoId" = ${id}::uuid AND s.attempt = ${attempt}::int AND s.send = ${send}::int`
  if (record === 'on_send')
    return Prisma.sql`UPDATE "Submission" s SET answer = 'accepted', "taskId" = ${taskId}, detail = ${how}, "answeredAt" = now(),
      "settledAt" = CASE WHEN s.outcome IS NULL THEN NULL ELSE s."settledAt" END FROM moved WHERE ${own} RETURNING 1`
  if (record === 'known') return Prisma.sql`SELECT 1`
  const last = Math.max(...submissions.map((one) => (one.attempt === attempt ? one.send : 0)))
  return Prisma.sql`INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher", answer, "taskId", detail, "intentAt", "answeredAt")
    SELECT s."videoId", s.attempt, ${last + 1}::int, s.provider, s."baseUrl", s."keyCipher", 'accepted', ${taskId}, ${how}, s."intentAt", now()
    FROM "Submission" s, moved WHERE ${own} RETURNING 1`
}

/**
 * `changed` when the row has changed, or another video has that task; else the event, where the
 * video moves.
 */
export async function writeAcceptance(
  db: Database,
  loaded: Loaded,
  task: AcceptedTask,
  { moves, record }: { moves: boolean; record: 'on_send' | 'beside' | 'known' },
): Promise<OwedEvent | null | 'changed'> {
  const sent = recordTask(loaded, task, record)
  const wanted = { id: loaded.video.id, ...task }
  // rule: a task of one video is not taken for another one’s
  const isFree =
    record === 'known' ? Prisma.empty : Prisma.sql`AND NOT EXISTS (${ofAnother(wanted)})`
  if (!moves) {
    const count = await db.$queryRaw<unknown[]>`
      WITH moved AS (UPDATE "SceneVideo" v SET epoch = v.epoch WHERE ${unchanged(loaded)} ${isFree} RETURNING v.id), sent AS (${sent})
      SELECT 1 FROM moved, sent`
    return count.length ? null : 'changed'
  }
  const [row] = await db.$queryRaw<Recorded[]>`
    WITH moved AS (
      UPDATE "SceneVideo" v SET "taskId" = ${task.taskId}, phase = 'submitted', version = v.version + 1, "submittedAt" = now(), "updatedAt" = now(),
        "dueAt" = ${dueAfterAcceptance}, "waitReason" = NULL, "waitUntil" = NULL
      WHERE ${unchanged(loaded)} ${isFree} RETURNING v.*
    ), sent AS (${sent})
    ${recorded('submitted', { how: task.how })}`
  return row ? owedEvent(row) : 'changed'
}

/** `changed` when the row has changed. */
export async function writeFailure(
  db: Database,
  loaded: Loaded,
  error: VideoError,
): Promise<OwedEvent | 'changed'> {
  const [row] = await db.$queryRaw<Recorded[]>`
    WITH moved AS (
      UPDATE "SceneVideo" v SET status = 'failed', phase = 'done', version = v.version + 1, "errorCode" = ${error.code}, "errorMessage" = ${error.message},
        "completedAt" = now(), "updatedAt" = now(), "dueAt" = NULL, "waitReason" = NULL, "waitUntil" = NULL
      WHERE ${unchanged(loaded)} RETURNING v.*
    )
    ${recorded('failed', { ...error })}`
  return row ? owedEvent(row) : 'changed'
}

export interface Wait {
  reason: string
  ms: number
  /** The phase that the record then shows, where that is another one. */
  phase: Phase | null
}

/** How long after its time somebody else tries a video that waits. */
const graceMs = 15_000

export const waiting = (reason: Prisma.Sql, ms: Prisma.Sql, phase: Prisma.Sql) => Prisma.sql`
  "waitReason" = ${reason}, "waitUntil" = now() + ${ms} * interval '1 millisecond', "updatedAt" = now(),
  "dueAt" = CASE WHEN v."cancelRequested" THEN v."dueAt" ELSE least(now() + (${ms} + ${graceMs}::int) * interval '1 millisecond', v."deadlineAt") END,
  phase = coalesce(${phase}, v.phase), version = v.version + CASE WHEN coalesce(${phase}, v.phase) <> v.phase THEN 1 ELSE 0 END`

/**
 * The event where the phase changed. A cancel that was asked for stays due. Nothing where the video
 * does not wait for its acceptance.
 */
export async function writeWait(
  db: Database,
  id: string,
  attempt: number,
  { reason, ms, phase }: Wait,
): Promise<OwedEvent | null> {
  const [row] = await db.$queryRaw<Recorded[]>`
    WITH waits AS (
      UPDATE "SceneVideo" v SET ${waiting(Prisma.sql`${reason}::text`, Prisma.sql`${Math.round(ms)}::int`, Prisma.sql`${phase}::text`)}
      WHERE v.id = ${id}::uuid AND v.attempt = ${attempt}::int AND v.status = 'pending' AND v."taskId" IS NULL
      RETURNING new.*, old.version AS was
    ), moved AS (SELECT * FROM waits WHERE version > was)
    ${recorded('progress', { reason })}`
  return row ? owedEvent(row) : null
}
