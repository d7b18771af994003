/**
 * What submit writes: the accepted request, the intent of each create, and what its answer meant.
 * Everything that may race (a cancel, a retry, another submit process) serialises on the video's
 * row.
 */
import {
  cancelledBeforeSubmission,
  decideAcceptance,
  decideCancel,
  decideIntent,
  isWaitingAt,
  requireRetry,
  type AcceptedHow,
  type NoTask,
} from '#libs/scene-video/decisions.ts'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import {
  isTerminal,
  type GenerateVideo,
  type SceneVideo,
  type VideoError,
} from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import type { Prisma } from './generated/client.ts'
import { claimIdempotencyKey } from './idempotency.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { toSceneVideo } from './rows.ts'
import { failRow, lock, lockOwn, record, type Tx, type VideoRecord } from './video-row.ts'

export type { VideoRecord }
export type SubmissionRecord = Awaited<ReturnType<Database['submission']['findFirstOrThrow']>>

export interface EffectiveConfig {
  provider: string
  model: string | null
  baseUrl: string | null
  keyCipher: string | null
  source: 'project' | 'user' | 'system'
}

export interface NewVideo {
  id: string
  userId: string
  projectId: string
  scriptId: string
  sceneId: string
  body: GenerateVideo
  idempotencyKey: IdempotencyKey | null
  system: { provider: string; model: string }
}

export interface Pins {
  provider: string
  baseUrl: string
  keyCipher: string
}

export class SubmissionWriter {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** The row, its timeline entry and the idempotency key, in one transaction. @throws Refused */
  async accept(request: NewVideo): Promise<{ video: SceneVideo; created: boolean }> {
    return this.#db.$transaction(async (tx) => {
      const scene = await tx.scene.findFirst({
        where: {
          id: request.sceneId,
          script: {
            id: request.scriptId,
            project: { id: request.projectId, userId: request.userId },
          },
        },
      })
      if (!scene)
        throw new Refused('not_found', 'There is no such scene in that script and project.')
      const earlier = await claimIdempotencyKey(
        tx,
        request.userId,
        request.idempotencyKey,
        request.id,
      )
      if (earlier)
        return {
          video: toSceneVideo(await tx.sceneVideo.findUniqueOrThrow({ where: { id: earlier } })),
          created: false,
        }
      const { prompt, provider, model, deadlineSeconds, ...params } = request.body
      const effective = await this.#effective(tx, request.userId, request.projectId)
      const row = await tx.sceneVideo.create({
        data: {
          id: request.id,
          userId: request.userId,
          projectId: request.projectId,
          scriptId: request.scriptId,
          sceneId: request.sceneId,
          provider: provider ?? effective?.provider ?? request.system.provider,
          model: model ?? effective?.model ?? request.system.model,
          prompt: prompt ?? scene.prompt,
          params: params as Prisma.InputJsonObject,
          deadlineSeconds: deadlineSeconds ?? null,
        },
      })
      if (deadlineSeconds !== undefined) {
        await tx.$executeRaw`UPDATE "SceneVideo" SET "deadlineAt" = now() + ${deadlineSeconds}::int * interval '1 second' WHERE id = ${row.id}::uuid`
      }
      await record(tx, row.id, 'requested')
      return { video: toSceneVideo(row), created: true }
    })
  }

  async #effective(
    tx: Tx,
    userId: string,
    projectId: string | null,
  ): Promise<EffectiveConfig | null> {
    const rows = await tx.aiConfig.findMany({
      where: { userId, OR: [{ projectId: null }, ...(projectId ? [{ projectId }] : [])] },
    })
    const row = rows.find((r) => r.projectId !== null) ?? rows[0]
    return row ? { ...row, source: row.projectId ? 'project' : 'user' } : null
  }

  async effectiveConfig(userId: string, projectId: string | null): Promise<EffectiveConfig | null> {
    return this.#effective(this.#db, userId, projectId)
  }

  async load(id: string): Promise<{
    video: VideoRecord
    submissions: SubmissionRecord[]
    config: EffectiveConfig | null
    ageMs: number[]
    untilDeadlineMs: number | null
  } | null> {
    const video = await this.#db.sceneVideo.findUnique({ where: { id } })
    if (!video) return null
    const submissions = await this.#db.submission.findMany({
      where: { videoId: id },
      orderBy: [{ attempt: 'asc' }, { send: 'asc' }],
    })
    const config = await this.#effective(this.#db, video.userId, video.projectId)
    const [clock] = await this.#db.$queryRaw<{ now: Date }[]>`SELECT now() AS now`
    const now = clock!.now.getTime()
    return {
      video,
      submissions,
      config,
      ageMs: submissions.map(
        (submission) =>
          now - Math.max(submission.intentAt.getTime(), video.restoredAt?.getTime() ?? 0),
      ),
      untilDeadlineMs: video.deadlineAt === null ? null : video.deadlineAt.getTime() - now,
    }
  }

  /**
   * Commits the intent to send. True only for the one caller who wrote it; false when the video is
   * not pending at that attempt, an earlier send may have been accepted, somebody else's intent has
   * that number, or a cancel was asked for. A send known as not accepted makes room for the next
   * one: however long the provider is away, an attempt has one row.
   */
  async intend(id: string, attempt: number, send: number, pins: Pins): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      const sends = await sendsOf(tx, id)
      const decision = decideIntent(video, sends, { attempt, send })
      if (decision === null) return false
      if (decision === 'replace') {
        await tx.$executeRaw`
          UPDATE "Submission" SET send = ${send}::int, answer = NULL, detail = NULL, "intentAt" = now(), "answeredAt" = NULL, "settledAt" = NULL
          WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send - 1}::int`
      } else {
        await tx.$executeRaw`
          INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
          VALUES (${id}::uuid, ${attempt}::int, ${send}::int, ${pins.provider}, ${pins.baseUrl}, ${pins.keyCipher})`
      }
      return true
    })
  }

  /**
   * After a restore: earlier attempts of a pending video of which the copy may not know the last
   * send get one in doubt, to be looked up. How many.
   */
  async addDoubtfulIntentsAfterRestore(
    id: string,
    { provider, baseUrl, keyCipher }: Pins,
  ): Promise<number> {
    return this.#db.$executeRaw`
      INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
      SELECT v.id, a, (SELECT coalesce(max(send), 0) + 1 FROM "Submission" WHERE "videoId" = v.id AND attempt = a), ${provider}, ${baseUrl}, ${keyCipher}
      FROM "SceneVideo" v CROSS JOIN LATERAL generate_series(1, v.attempt - 1) a
      WHERE v.id = ${id}::uuid AND v.status = 'pending' AND v."restoredAt" IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM "Submission" s WHERE s."videoId" = v.id AND s.attempt = a AND (s.answer IS NULL OR s.answer IN ('accepted', 'refused', 'lost') OR s."intentAt" > v."restoredAt"))`
  }

  /**
   * The task is recorded on its attempt whatever became of the video meanwhile; the video moves
   * only if it still waits for it. `late`: it does not any more; `duplicate`: it has another task
   * of the same attempt.
   */
  async accepted(
    id: string,
    attempt: number,
    send: number,
    taskId: string,
    how: AcceptedHow,
  ): Promise<'taken' | 'late' | 'duplicate'> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      const sends = await sendsOf(tx, id)
      const task = { attempt, send, taskId, how }
      const acceptance = decideAcceptance(video, sends, task)
      if (acceptance.record === 'on_send')
        await tx.$executeRaw`
          UPDATE "Submission" SET answer = 'accepted', "taskId" = ${taskId}, detail = ${how}, "answeredAt" = now(), "settledAt" = CASE WHEN outcome IS NULL THEN NULL ELSE "settledAt" END
          WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int`
      if (acceptance.record === 'beside')
        await tx.$executeRaw`
          INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher", answer, "taskId", detail, "intentAt", "answeredAt")
          SELECT "videoId", attempt, ${1 + Math.max(...sends.map((one) => (one.attempt === attempt ? one.send : 0)))}::int, provider, "baseUrl", "keyCipher", 'accepted', ${taskId}, ${how}, "intentAt", now()
          FROM "Submission" WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int`
      if (!acceptance.moves) return acceptance.fate
      await tx.$executeRaw`
        UPDATE "SceneVideo" SET "taskId" = ${taskId}, phase = 'submitted', version = version + 1, "submittedAt" = now(), "updatedAt" = now() WHERE id = ${id}::uuid`
      await record(tx, id, 'submitted', { how })
      return acceptance.fate
    })
  }

  /**
   * What is known of a send that was not accepted: `later`, `refused` or `absent`; or that nobody
   * will ever know: `lost`.
   */
  async answered(
    id: string,
    attempt: number,
    send: number,
    answer: NoTask,
    detail: string,
  ): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "Submission" SET answer = ${answer}, detail = ${detail.slice(0, 2000)}, "answeredAt" = now(), "settledAt" = now()
      WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int AND answer IS DISTINCT FROM 'accepted'`
  }

  /** Somebody asked the provider what became of this send. */
  async looked(id: string, attempt: number, send: number): Promise<void> {
    await this.#db
      .$executeRaw`UPDATE "Submission" SET "lookedAt" = now() WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int`
  }

  /** Phase throttled, recorded once however long the wait. */
  async throttled(id: string, attempt: number, reason: string): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      if (video.attempt !== attempt || video.status !== 'pending' || video.phase !== 'queued')
        return false
      await tx.$executeRaw`UPDATE "SceneVideo" SET phase = 'throttled', version = version + 1, "updatedAt" = now() WHERE id = ${id}::uuid`
      await record(tx, id, 'progress', { reason })
      return true
    })
  }

  /** Still in hand: `updatedAt` moves, nothing else does. */
  async touch(id: string): Promise<void> {
    await this.#db
      .$executeRaw`UPDATE "SceneVideo" SET "updatedAt" = now() WHERE id = ${id}::uuid AND status = 'pending' AND "updatedAt" < now() - interval '30 seconds'`
  }

  /** Ends a pending video; false when it is not pending at that attempt any more, or has a task. */
  async failPending(id: string, attempt: number, error: VideoError): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      if (!isWaitingAt(video, attempt)) return false
      await failRow(tx, id, error)
      return true
    })
  }

  /** @throws Refused. True when the owner has to act on it; false when it is done already. */
  async cancel(
    userId: string,
    id: string,
    attempt: number | null,
    idempotencyKey: IdempotencyKey | null = null,
  ): Promise<{ video: SceneVideo; ownerActs: boolean }> {
    return this.#db.$transaction(async (tx) => {
      const video = await lockOwn(tx, userId, id)
      if (await claimIdempotencyKey(tx, userId, idempotencyKey, id))
        return {
          video: toSceneVideo(video),
          ownerActs: video.cancelRequested && !isTerminal(video.status),
        }
      const atOnce = decideCancel(video, await sendsOf(tx, id), attempt) === 'at_once'
      if (atOnce) await failRow(tx, id, cancelledBeforeSubmission)
      else await tx.sceneVideo.update({ where: { id }, data: { cancelRequested: true } })
      return {
        video: toSceneVideo(await tx.sceneVideo.findUniqueOrThrow({ where: { id } })),
        ownerActs: !atOnce,
      }
    })
  }

  /** Opens the next attempt of a failed video. @throws Refused */
  async retry(
    userId: string,
    id: string,
    attempt: number | null,
    idempotencyKey: IdempotencyKey | null = null,
  ): Promise<SceneVideo> {
    return this.#db.$transaction(async (tx) => {
      const video = await lockOwn(tx, userId, id)
      if (await claimIdempotencyKey(tx, userId, idempotencyKey, id)) return toSceneVideo(video)
      requireRetry(video, attempt)
      await tx.$executeRaw`
        UPDATE "SceneVideo" SET status = 'pending', phase = 'queued', progress = NULL, "taskId" = NULL, "videoUrl" = NULL, "videoUrlExpiresAt" = NULL,
          "errorCode" = NULL, "errorMessage" = NULL, attempt = attempt + 1, version = version + 1, "cancelRequested" = false, "submittedAt" = NULL,
          "startedAt" = NULL, "completedAt" = NULL, "updatedAt" = now(), "deadlineAt" = now() + "deadlineSeconds" * interval '1 second'
        WHERE id = ${id}::uuid`
      await record(tx, id, 'requested')
      return toSceneVideo(await tx.sceneVideo.findUniqueOrThrow({ where: { id } }))
    })
  }

  /**
   * What an earlier task became, seen after its attempt had ended: onto the timeline, with its
   * link.
   */
  async noteLate(
    id: string,
    attempt: number,
    send: number,
    said: 'completed' | 'failed',
    detail: Record<string, string | null>,
  ): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      const changed = await tx.$executeRaw`
        UPDATE "Submission" SET "settledAt" = now(), outcome = ${said} WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int AND outcome IS NULL`
      if (!changed) return false
      await tx.timeline.create({
        data: {
          videoId: id,
          version: video.version,
          attempt,
          kind: 'late',
          status: video.status,
          phase: video.phase,
          progress: video.progress,
          service: 'submit',
          detail: { said, ...detail },
        },
      })
      return true
    })
  }
}

const sendsOf = (tx: Tx, videoId: string): Promise<SubmissionRecord[]> =>
  tx.submission.findMany({ where: { videoId }, orderBy: [{ attempt: 'asc' }, { send: 'asc' }] })
