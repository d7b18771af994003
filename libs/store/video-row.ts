/**
 * One video's row within a transaction: locked, failed, written to the timeline. Whatever may race
 * serialises on it.
 */
import type { VideoError } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import type { Prisma } from './generated/client.ts'
import { Refused } from '#libs/scene-video/refusals.ts'

export type Tx = Prisma.TransactionClient
export type VideoRecord = Awaited<ReturnType<Database['sceneVideo']['findUniqueOrThrow']>>

/** Locks and reads the row of this user. The lock lasts to the end of the transaction. */
export async function lockOwn(tx: Tx, userId: string, id: string): Promise<VideoRecord> {
  await tx.$queryRaw`SELECT 1 FROM "SceneVideo" WHERE id = ${id}::uuid FOR UPDATE`
  const video = await tx.sceneVideo.findFirst({ where: { id, userId } })
  if (!video) throw new Refused('not_found', 'There is no such video.')
  return video
}

export async function failRow(tx: Tx, id: string, error: VideoError): Promise<void> {
  await tx.$executeRaw`
    UPDATE "SceneVideo" SET status = 'failed', phase = 'done', version = version + 1, "errorCode" = ${error.code}, "errorMessage" = ${error.message},
      "completedAt" = now(), "updatedAt" = now(), "dueAt" = NULL, "waitReason" = NULL, "waitUntil" = NULL WHERE id = ${id}::uuid`
  await record(tx, id, 'failed', { ...error })
}

/** Writes the row as it now is to the timeline, its event owed. */
export async function record(
  tx: Tx,
  id: string,
  event: string,
  detail: Record<string, string> | null = null,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, snapshot, owed)
    SELECT v.id, v.version, v.attempt, ${event}, ${event}, v.status, v.phase, v.progress, 'submit', ${detail === null ? null : JSON.stringify(detail)}::jsonb, to_jsonb(v) - 'params', true
    FROM "SceneVideo" v WHERE v.id = ${id}::uuid`
}
