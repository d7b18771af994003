/**
 * A person's cancel and retry. Both are rare, and take the row's lock in a transaction: what may be
 * done is decided from the locked row and its sends.
 */
import { bootMs } from '#libs/runtime/clock.ts'
import {
  cancelledBeforeSubmission,
  decideCancel,
  requireRetry,
} from '#libs/scene-video/decisions.ts'
import { notAwaited } from '#libs/scene-video/refusals.ts'
import type { Charge } from '#libs/scene-video/charge.ts'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import {
  isTerminal,
  type Actor,
  type Money,
  type SceneVideo,
} from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { heldSeconds } from './due-videos.ts'
import { claimIdempotencyKey } from './idempotency.ts'
import { toSceneVideo } from './rows.ts'
import { chargeUser } from './spend.ts'
import { failRow, jsonOf, lockOwn, record, recordCancelling, type Tx } from './video-row.ts'

export interface VideoOrder {
  userId: string
  id: string
  /** Null means the current one. */
  attempt: number | null
  idempotencyKey?: IdempotencyKey | null
  by?: Actor | null
  /** Of a retry: what a create of it costs now. */
  cost?: Money | null
  /** Of a retry that pays anew. */
  charge?: Charge | null
  /** Boot time; nothing is committed after it. */
  beginBy?: number
}

/** Postgres may have stood still between two statements. @throws Refused */
// rule: no transaction of a command is committed too late
export const requireAwaited = (beginBy = Infinity): void => {
  if (bootMs() > beginBy) throw notAwaited()
}

/** True when the owner has to act on it; false when it is done already. @throws Refused */
export function cancelVideo(
  db: Database,
  { userId, id, attempt, idempotencyKey, by = null, beginBy }: VideoOrder,
): Promise<{ video: SceneVideo; ownerActs: boolean }> {
  return db.$transaction(async (tx) => {
    const video = await lockOwn(tx, userId, id)
    if (await claimIdempotencyKey(tx, userId, idempotencyKey, id))
      return {
        video: toSceneVideo(video),
        ownerActs: video.cancelRequested && !isTerminal(video.status),
      }
    const sends = await tx.submission.findMany({
      where: { videoId: id },
      orderBy: [{ attempt: 'asc' }, { send: 'asc' }],
    })
    const atOnce = decideCancel(video, sends, attempt) === 'at_once'
    if (atOnce) await failRow(tx, id, cancelledBeforeSubmission, by)
    else if (!video.cancelRequested) await flag(tx, id, by)
    const cancelled = await tx.sceneVideo.findUniqueOrThrow({ where: { id } })
    requireAwaited(beginBy)
    return { video: toSceneVideo(cancelled), ownerActs: !atOnce }
  })
}

/**
 * Found again by a repeated look: see due-videos.ts. From this version on the video shows
 * `cancelling`, and no event of a lower one does.
 */
async function flag(tx: Tx, id: string, by: Actor | null): Promise<void> {
  await tx.$executeRaw`
    UPDATE "SceneVideo" SET "cancelRequested" = true, version = version + 1, "updatedAt" = now(), "dueAt" = CASE WHEN "taskId" IS NULL THEN now() + interval '1 second' ELSE "dueAt" END WHERE id = ${id}::uuid`
  await recordCancelling(tx, id, by)
}

/** Opens the next attempt of a failed video, unless that was done under the key. @throws Refused */
export function retryVideo(
  db: Database,
  { userId, id, attempt, idempotencyKey, by = null, cost = null, charge, beginBy }: VideoOrder,
): Promise<{ video: SceneVideo; repeated: boolean }> {
  return db.$transaction(async (tx) => {
    const video = await lockOwn(tx, userId, id)
    if (await claimIdempotencyKey(tx, userId, idempotencyKey, id))
      return { video: toSceneVideo(video), repeated: true }
    requireRetry(video, attempt)
    await tx.$executeRaw`
      UPDATE "SceneVideo" SET status = 'pending', phase = 'queued', progress = NULL, "taskId" = NULL, "videoUrl" = NULL, "videoUrlExpiresAt" = NULL,
        "errorCode" = NULL, "errorMessage" = NULL, attempt = attempt + 1, version = version + 1, "cancelRequested" = false, "submittedAt" = NULL,
        "startedAt" = NULL, "completedAt" = NULL, "updatedAt" = now(), "requestedAt" = now(), cost = coalesce(${jsonOf(cost)}::jsonb, cost), "deadlineAt" = now() + "deadlineSeconds" * interval '1 second',
        "dueAt" = now() + least("deadlineSeconds", ${heldSeconds}::int) * interval '1 second'
      WHERE id = ${id}::uuid`
    await record(tx, id, 'requested', null, by)
    const opened = await tx.sceneVideo.findUniqueOrThrow({ where: { id } })
    if (charge) await chargeUser(tx, userId, charge)
    requireAwaited(beginBy)
    return { video: toSceneVideo(opened), repeated: false }
  })
}
