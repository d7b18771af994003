/**
 * Intents, acceptances and waits of many videos, each kind by one statement. As the single forms in
 * move-pending.ts, it changes nothing of a row that is not at the revision it was decided from; nor
 * does it wait for one that somebody holds. Both are left out of what comes back.
 */
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { dueAfterAcceptance } from './due-videos.ts'
import { takenRow } from './fence.ts'
import { Prisma } from './generated/client.ts'
import { Gather } from './gather.ts'
import {
  waiting,
  writeAcceptance,
  writeIntent,
  writeWait,
  type AcceptedTask,
  type Pins,
  type Wait,
} from './move-pending.ts'
import type { Loaded } from './pending-video.ts'
import { owedEvent, type Recorded } from './rows.ts'
import { hasTask } from './sent-tasks.ts'

interface IntentToWrite {
  id: string
  loaded: Loaded
  attempt: number
  send: number
  pins: Pins
}

interface WaitToWrite {
  id: string
  attempt: number
  wait: Wait
}

interface AcceptanceToWrite {
  id: string
  loaded: Loaded
  task: AcceptedTask
}

/** Index: the primary keys. */
// rule: a decision is written only to the row it was taken from, together
const locked = Prisma.sql`SELECT v.id FROM i ${takenRow} WHERE v.revision = i.revision`

/** The revisions that the rows then have, by id. */
async function writeIntents(db: Database, items: IntentToWrite[]): Promise<Map<string, string>> {
  const rows = await db.$queryRaw<{ id: string; revision: string }[]>`
    WITH i AS (
      SELECT * FROM unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ loaded }) => loaded.revision)}::text[], ${items.map(({ attempt }) => attempt)}::int[],
        ${items.map(({ send }) => send)}::int[], ${items.map(({ pins }) => pins.provider)}::text[], ${items.map(({ pins }) => pins.baseUrl)}::text[],
        ${items.map(({ pins }) => pins.keyCipher)}::text[])
        AS i(id, revision, attempt, send, provider, "baseUrl", "keyCipher")
    ), locked AS (${locked}), moved AS (
      UPDATE "SceneVideo" v SET "updatedAt" = now(), "waitReason" = NULL, "waitUntil" = NULL
      FROM i JOIN locked USING (id) WHERE v.id = i.id RETURNING v.id, v.xmin::text AS revision
    ), sent AS (
      INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
      SELECT id, attempt, send, provider, "baseUrl", "keyCipher" FROM i JOIN moved USING (id) RETURNING "videoId"
    )
    SELECT m.id, m.revision FROM moved m JOIN sent s ON s."videoId" = m.id`
  return new Map(rows.map((row) => [row.id, row.revision]))
}

/**
 * The events of those that moved, by id. Left out is also what names a task that another video has.
 * Index: by the task's hash.
 */
async function writeAcceptances(
  db: Database,
  items: AcceptanceToWrite[],
): Promise<Map<string, OwedEvent>> {
  const rows = await db.$queryRaw<(Recorded & { id: string })[]>`
    WITH i AS (
      SELECT * FROM unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ loaded }) => loaded.revision)}::text[], ${items.map(({ task }) => task.attempt)}::int[],
        ${items.map(({ task }) => task.send)}::int[], ${items.map(({ task }) => task.taskId)}::text[], ${items.map(({ task }) => task.how)}::text[])
        AS i(id, revision, attempt, send, "taskId", how)
    ), locked AS (
      ${locked}
        AND NOT EXISTS (SELECT 1 FROM "Submission" o WHERE ${hasTask(Prisma.sql`i."taskId"`)} AND o."videoId" <> i.id)
    ), moved AS (
      UPDATE "SceneVideo" v SET "taskId" = i."taskId", phase = 'submitted', version = v.version + 1, "submittedAt" = now(), "updatedAt" = now(),
        "dueAt" = ${dueAfterAcceptance}, "waitReason" = NULL, "waitUntil" = NULL
      FROM i JOIN locked USING (id) WHERE v.id = i.id RETURNING v.*
    ), sent AS (
      UPDATE "Submission" s SET answer = 'accepted', "taskId" = i."taskId", detail = i.how, "answeredAt" = now(),
        "settledAt" = CASE WHEN s.outcome IS NULL THEN NULL ELSE s."settledAt" END
      FROM i JOIN moved m USING (id) WHERE s."videoId" = i.id AND s.attempt = i.attempt AND s.send = i.send
    )
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, snapshot, owed)
    SELECT m.id, m.version, m.attempt, 'submitted', 'submitted', m.status, m.phase, m.progress, 'submit', jsonb_build_object('how', i.how), to_jsonb(m), true
    FROM moved m JOIN i USING (id) RETURNING "videoId" AS id, id AS "timelineId", event, at, snapshot`
  return new Map(rows.map((row) => [row.id, owedEvent(row)]))
}

/** The events of those that wait, by id; null where the phase stayed. */
async function writeWaits(
  db: Database,
  items: WaitToWrite[],
): Promise<Map<string, OwedEvent | null>> {
  const rows = await db.$queryRaw<(Recorded & { id: string })[]>`
    WITH i AS (
      SELECT * FROM unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ attempt }) => attempt)}::int[], ${items.map(({ wait }) => wait.reason)}::text[],
        ${items.map(({ wait }) => Math.round(wait.ms))}::int[], ${items.map(({ wait }) => wait.phase)}::text[])
        AS i(id, attempt, reason, ms, phase)
    ), locked AS (
      SELECT v.id FROM i ${takenRow} WHERE v.attempt = i.attempt AND v.status = 'pending' AND v."taskId" IS NULL
    ), waits AS (
      UPDATE "SceneVideo" v SET ${waiting(Prisma.sql`i.reason`, Prisma.sql`i.ms`, Prisma.sql`i.phase`)}
      FROM i JOIN locked USING (id) WHERE v.id = i.id RETURNING new.*, old.version AS was
    ), told AS (
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, snapshot, owed)
      SELECT m.id, m.version, m.attempt, 'progress', 'progress', m.status, m.phase, m.progress, 'submit', jsonb_build_object('reason', i.reason), to_jsonb(m), true
      FROM waits m JOIN i USING (id) WHERE m.version > m.was RETURNING "videoId", id AS "timelineId", event, at, snapshot
    )
    SELECT w.id, t."timelineId", t.event, t.at, t.snapshot FROM waits w LEFT JOIN told t ON t."videoId" = w.id`
  return new Map(rows.map((row) => [row.id, row.event === null ? null : owedEvent(row)]))
}

/** First intents of a number; null for the revision where the row has changed. */
export const gatherIntents = (db: Database): Gather<IntentToWrite, string | null> =>
  new Gather<IntentToWrite, string | null>(
    (items) => writeIntents(db, items),
    ({ loaded, attempt, send, pins }) => writeIntent(db, loaded, { attempt, send }, pins, 'insert'),
  )

/** Acceptances that move their video. */
export const gatherAcceptances = (
  db: Database,
): Gather<AcceptanceToWrite, OwedEvent | null | 'changed'> =>
  new Gather<AcceptanceToWrite, OwedEvent | null | 'changed'>(
    (items) => writeAcceptances(db, items),
    ({ loaded, task }) => writeAcceptance(db, loaded, task, { moves: true, record: 'on_send' }),
  )

/** See `writeWait`. */
export const gatherWaits = (db: Database): Gather<WaitToWrite, OwedEvent | null> =>
  new Gather<WaitToWrite, OwedEvent | null>(
    (items) => writeWaits(db, items),
    ({ id, attempt, wait }) => writeWait(db, id, attempt, wait),
  )
