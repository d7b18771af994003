/**
 * One video's row within a transaction: locked, failed, written to the timeline. Whatever may race
 * serialises on it.
 */
import type { Actor, VideoError } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import type { Prisma } from './generated/client.ts'
import { Refused } from '#libs/scene-video/refusals.ts'

export type Tx = Prisma.TransactionClient
export type VideoRecord = Awaited<ReturnType<Database['sceneVideo']['findUniqueOrThrow']>>

/** Locks and reads the row of this user. The lock lasts to the end of the transaction. */
export async function lockOwn(tx: Tx, userId: string, id: string): Promise<VideoRecord> {
  await tx.$queryRaw`SELECT 1 FROM "SceneVideo" WHERE id = ${id}::uuid FOR UPDATE`
  const video = await tx.sceneVideo.findFirst({ where: { id, userId, erasedAt: null } })
  if (!video) throw new Refused('not_found', 'There is no such video.')
  return video
}

export const jsonOf = (value: object | null) => (value === null ? null : JSON.stringify(value))

export async function failRow(
  tx: Tx,
  id: string,
  error: VideoError,
  by: Actor | null = null,
): Promise<void> {
  await tx.$executeRaw`
    UPDATE "SceneVideo" SET status = 'failed', phase = 'done', version = version + 1, "errorCode" = ${error.code}, "errorMessage" = ${error.message},
      "completedAt" = now(), "updatedAt" = now(), "dueAt" = NULL, "waitReason" = NULL, "waitUntil" = NULL WHERE id = ${id}::uuid`
  await record(tx, id, 'failed', { ...error }, by)
}

/** Writes the row as it now is to the timeline, its event owed; `by` whoever caused it. */
export async function record(
  tx: Tx,
  id: string,
  event: string,
  detail: Record<string, string> | null = null,
  by: Actor | null = null,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, by, snapshot, owed)
    SELECT v.id, v.version, v.attempt, ${event}, ${event}, v.status, v.phase, v.progress, 'submit', ${jsonOf(detail)}::jsonb, ${jsonOf(by)}::jsonb, to_jsonb(v), true
    FROM "SceneVideo" v WHERE v.id = ${id}::uuid`
}

/** As `record`, of the row that shows `cancelling` because that was asked for. */
export async function recordCancelling(tx: Tx, id: string, by: Actor | null): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, by, snapshot, owed)
    SELECT v.id, v.version, v.attempt, 'cancel_requested', 'progress', v.status, 'cancelling', v.progress, 'submit', ${jsonOf(by)}::jsonb, to_jsonb(v), true
    FROM "SceneVideo" v WHERE v.id = ${id}::uuid`
}
