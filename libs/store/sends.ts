/** What becomes of sends without moving their video, each by one statement. */
import type { NoTask } from '#libs/scene-video/decisions.ts'
import type { Database } from './connect.ts'
import { Gather } from './gather.ts'
import type { Pins } from './move-pending.ts'
import type { SendRecord } from './pending-video.ts'

interface SendKey {
  id: string
  attempt: number
  send: number
}

interface AnswerToWrite extends SendKey {
  answer: NoTask
  detail: string
  /** What became of it may still show, and is asked on. */
  isOpen: boolean
}

/** What is known of a send without a task. */
async function writeAnswer(
  db: Database,
  { id, attempt, send, answer, detail, isOpen }: AnswerToWrite,
): Promise<void> {
  await db.$executeRaw`
    UPDATE "Submission" SET answer = ${answer}, detail = ${detail.slice(0, 2000)}, "answeredAt" = now(), "settledAt" = CASE WHEN NOT ${isOpen} THEN now() END
    WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int AND answer IS DISTINCT FROM 'accepted'`
}

/** Ids of the videos whose sends were written; left out are those that somebody holds. */
async function writeAnswers(db: Database, items: AnswerToWrite[]): Promise<Map<string, true>> {
  const rows = await db.$queryRaw<{ id: string }[]>`
    WITH i AS (
      SELECT * FROM unnest(${items.map(({ id }) => id)}::uuid[], ${items.map(({ attempt }) => attempt)}::int[], ${items.map(({ send }) => send)}::int[],
        ${items.map(({ answer }) => answer)}::text[], ${items.map(({ detail }) => detail.slice(0, 2000))}::text[], ${items.map(({ isOpen }) => isOpen)}::bool[])
        AS i("videoId", attempt, send, answer, detail, "isOpen")
    ), locked AS (
      SELECT s."videoId", s.attempt, s.send FROM i CROSS JOIN LATERAL (
        SELECT * FROM "Submission" WHERE "videoId" = i."videoId" AND attempt = i.attempt AND send = i.send LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
      ) s WHERE s.answer IS DISTINCT FROM 'accepted'
    )
    UPDATE "Submission" s SET answer = i.answer, detail = i.detail, "answeredAt" = now(), "settledAt" = CASE WHEN NOT i."isOpen" THEN now() END
    FROM i JOIN locked USING ("videoId", attempt, send) WHERE s."videoId" = i."videoId" AND s.attempt = i.attempt AND s.send = i.send RETURNING s."videoId" AS id`
  return new Map(rows.map(({ id }) => [id, true]))
}

/** See `writeAnswer`. */
export const gatherAnswers = (db: Database): Gather<AnswerToWrite, unknown> =>
  new Gather<AnswerToWrite, unknown>(
    (items) => writeAnswers(db, items),
    (item) => writeAnswer(db, item),
  )

/** Somebody asked the provider what became of this send. */
export async function writeLooked(db: Database, { id, attempt, send }: SendKey): Promise<void> {
  await db.$executeRaw`
    UPDATE "Submission" SET "lookedAt" = now() WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int`
}

export interface CalledTask {
  id: string
  attempt: number
  provider: string
  taskId: string
}

/**
 * A callback names the task of this attempt: kept with the last send of which nobody knows the
 * task, instead of one named before, which was not found to be it. Where nobody would have asked
 * about it any more, somebody does now. The video's status where it was kept, else null.
 */
export async function keepCalledTask(
  db: Database,
  { id, attempt, provider, taskId }: CalledTask,
): Promise<'pending' | 'generating' | 'completed' | 'failed' | null> {
  const [row] = await db.$queryRaw<{ status: 'pending' | 'failed' }[]>`
    UPDATE "Submission" s SET "calledTaskId" = ${taskId}, "lookedAt" = NULL, "settledAt" = CASE WHEN s.answer = 'lost' THEN NULL ELSE s."settledAt" END
    FROM "SceneVideo" v
    WHERE v.id = s."videoId" AND s."videoId" = ${id}::uuid AND s.attempt = ${attempt}::int AND s.provider = ${provider}
      AND s."taskId" IS NULL AND s."calledTaskId" IS DISTINCT FROM ${taskId} AND (s.answer IS NULL OR s.answer IN ('unreadable', 'lost'))
      AND s.send = (SELECT max(send) FROM "Submission" WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int)
    RETURNING v.status`
  return row?.status ?? null
}

/** Of what was sent to the same place at about the same time as this send. */
export interface Beside {
  /** Tasks that are recorded with other sends. */
  known: string[]
  /** Another video of the same model and prompt has a send of which nobody knows the task. */
  hasRivals: boolean
}

/**
 * Everything sent to the place of this send no earlier than `withinMs` before it. Index: by intent,
 * of which few pages are read.
 */
export async function readSentBeside(
  db: Database,
  send: Pick<SendRecord, 'videoId' | 'attempt' | 'provider' | 'baseUrl' | 'intentAt'>,
  withinMs: number,
): Promise<Beside> {
  const since = new Date(send.intentAt.getTime() - withinMs)
  const [row] = await db.$queryRaw<Beside[]>`
    SELECT coalesce(array_agg(s."taskId") FILTER (WHERE s."taskId" IS NOT NULL), '{}') AS known,
      coalesce(bool_or(s."taskId" IS NULL AND s."videoId" <> m.id AND v.model = m.model AND v.prompt = m.prompt
        AND (s.answer IS NULL OR s.answer IN ('unreadable', 'lost'))), false) AS "hasRivals"
    FROM "SceneVideo" m, "Submission" s JOIN "SceneVideo" v ON v.id = s."videoId"
    WHERE m.id = ${send.videoId}::uuid AND s."intentAt" >= ${since}::timestamptz AND s.provider = ${send.provider} AND s."baseUrl" = ${send.baseUrl}
      AND NOT (s."videoId" = m.id AND s.attempt = ${send.attempt}::int)`
  return row ?? { known: [], hasRivals: false }
}

/**
 * After a restore: earlier attempts of a pending video of which the copy may not know the last send
 * get one in doubt, to be looked up. How many.
 */
export async function addDoubtfulIntents(
  db: Database,
  id: string,
  { provider, baseUrl, keyCipher }: Pins,
): Promise<number> {
  return db.$executeRaw`
    INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
    SELECT v.id, a, (SELECT coalesce(max(send), 0) + 1 FROM "Submission" WHERE "videoId" = v.id AND attempt = a), ${provider}, ${baseUrl}, ${keyCipher}
    FROM "SceneVideo" v CROSS JOIN LATERAL generate_series(1, v.attempt - 1) a
    WHERE v.id = ${id}::uuid AND v.status = 'pending' AND v."restoredAt" IS NOT NULL AND NOT EXISTS (
      SELECT 1 FROM "Submission" s WHERE s."videoId" = v.id AND s.attempt = a AND (s.answer IS NULL OR s.answer IN ('accepted', 'unreadable', 'refused', 'lost') OR s."intentAt" > v."restoredAt"))`
}

/**
 * What an earlier task became, seen after its attempt had ended: onto the timeline, with its link.
 * False where that is known.
 */
export async function writeLateResult(
  db: Database,
  { id, attempt, send }: SendKey,
  said: 'completed' | 'failed',
  detail: Record<string, string | null>,
): Promise<boolean> {
  const noted = await db.$executeRaw`
    WITH settled AS (
      UPDATE "Submission" SET "settledAt" = now(), outcome = ${said} WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int AND outcome IS NULL RETURNING 1
    )
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service, detail)
    SELECT v.id, v.version, ${attempt}::int, 'late', v.status, v.phase, v.progress, 'submit', ${JSON.stringify({ said, ...detail })}::jsonb
    FROM "SceneVideo" v, settled WHERE v.id = ${id}::uuid AND v."erasedAt" IS NULL`
  return noted > 0
}
