/**
 * What submit writes: the accepted request, the intent of each create, and what its answer meant. Everything that may
 * race (a cancel, a retry, another submit process) serialises on the video's row.
 */
import { isTerminal, type GenerateVideo, type SceneVideo, type VideoError } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import type { Prisma } from './generated/client.ts'
import { claimOnce, type Once } from './idempotency.ts'
import { Refused } from './refused.ts'
import { toSceneVideo } from './rows.ts'

export { Refused }
type Tx = Prisma.TransactionClient
export type VideoRecord = Awaited<ReturnType<Database['sceneVideo']['findUniqueOrThrow']>>
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
  idempotencyKey: string | null
  bodyHash: string
  system: { provider: string; model: string }
}

export interface Pins {
  provider: string
  baseUrl: string
  keyCipher: string
}

const generateRoute = 'generate-video'

export class SubmissionWriter {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** The row, its timeline entry and the idempotency key, in one transaction. @throws Refused */
  async accept(request: NewVideo): Promise<{ video: SceneVideo; created: boolean }> {
    return this.#db.$transaction(async (tx) => {
      const scene = await tx.scene.findFirst({
        where: { id: request.sceneId, script: { id: request.scriptId, project: { id: request.projectId, userId: request.userId } } },
      })
      if (!scene) throw new Refused(404, 'not_found', 'There is no such scene in that script and project.')
      const once = request.idempotencyKey === null ? null : { key: request.idempotencyKey, route: generateRoute, bodyHash: request.bodyHash }
      const earlier = await claimOnce(tx, request.userId, once, request.id)
      if (earlier) return { video: toSceneVideo(await tx.sceneVideo.findUniqueOrThrow({ where: { id: earlier } })), created: false }
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

  async #effective(tx: Tx, userId: string, projectId: string | null): Promise<EffectiveConfig | null> {
    const rows = await tx.aiConfig.findMany({ where: { userId, OR: [{ projectId: null }, ...(projectId ? [{ projectId }] : [])] } })
    const row = rows.find((r) => r.projectId !== null) ?? rows[0]
    return row ? { ...row, source: row.projectId ? 'project' : 'user' } : null
  }

  async effectiveConfig(userId: string, projectId: string | null): Promise<EffectiveConfig | null> {
    return this.#effective(this.#db, userId, projectId)
  }

  async load(id: string): Promise<{ video: VideoRecord; submissions: SubmissionRecord[]; config: EffectiveConfig | null; ageMs: number[]; pastDeadline: boolean } | null> {
    const video = await this.#db.sceneVideo.findUnique({ where: { id } })
    if (!video) return null
    const submissions = await this.#db.submission.findMany({ where: { videoId: id }, orderBy: [{ attempt: 'asc' }, { send: 'asc' }] })
    const config = await this.#effective(this.#db, video.userId, video.projectId)
    const [clock] = await this.#db.$queryRaw<{ now: Date }[]>`SELECT now() AS now`
    const now = clock!.now.getTime()
    return {
      video, submissions, config,
      ageMs: submissions.map((submission) => now - submission.intentAt.getTime()),
      pastDeadline: video.deadlineAt !== null && video.deadlineAt.getTime() <= now,
    }
  }

  /**
   * Commits the intent to send. True only for the one caller who inserted it; false when the video is not pending at that
   * attempt, somebody else's intent has that number, or a cancel was asked for.
   */
  async intend(id: string, attempt: number, send: number, pins: Pins): Promise<boolean> {
    const inserted = await this.#db.$executeRaw`
      WITH open AS (
        SELECT id FROM "SceneVideo" WHERE id = ${id}::uuid AND attempt = ${attempt}::int AND status = 'pending' AND "taskId" IS NULL AND NOT "cancelRequested" FOR UPDATE
      )
      INSERT INTO "Submission" ("videoId", attempt, send, provider, "baseUrl", "keyCipher")
      SELECT id, ${attempt}::int, ${send}::int, ${pins.provider}, ${pins.baseUrl}, ${pins.keyCipher} FROM open ON CONFLICT DO NOTHING`
    return inserted === 1
  }

  /** The task is recorded on its attempt whatever became of the video meanwhile; the video moves only if it still waits for it. */
  async accepted(id: string, attempt: number, send: number, taskId: string, how: 'answer' | 'lookup' | 'adopted'): Promise<void> {
    await this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      await tx.submission.update({ where: { videoId_attempt_send: { videoId: id, attempt, send } }, data: { answer: 'accepted', taskId, answeredAt: new Date(0), detail: how } })
      await tx.$executeRaw`UPDATE "Submission" SET "answeredAt" = now() WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int`
      if (how === 'adopted' ? video.status !== 'pending' : video.attempt !== attempt || video.status !== 'pending') return
      if (video.taskId !== null) return
      await tx.$executeRaw`
        UPDATE "SceneVideo" SET "taskId" = ${taskId}, phase = 'submitted', version = version + 1, "submittedAt" = now(), "updatedAt" = now() WHERE id = ${id}::uuid`
      await record(tx, id, 'submitted', { how })
    })
  }

  /** What is known of a send that was not accepted: `later`, `refused` or `absent`. */
  async answered(id: string, attempt: number, send: number, answer: 'later' | 'refused' | 'absent', detail: string): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "Submission" SET answer = ${answer}, detail = ${detail.slice(0, 2000)}, "answeredAt" = now(), "settledAt" = now()
      WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int AND answer IS DISTINCT FROM 'accepted'`
  }

  /** Phase throttled, recorded once however long the wait. */
  async throttled(id: string, attempt: number, reason: string): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      if (video.attempt !== attempt || video.status !== 'pending' || video.phase !== 'queued') return false
      await tx.$executeRaw`UPDATE "SceneVideo" SET phase = 'throttled', version = version + 1, "updatedAt" = now() WHERE id = ${id}::uuid`
      await record(tx, id, 'progress', { reason })
      return true
    })
  }

  /** Still in hand: `updatedAt` moves, nothing else does. */
  async touch(id: string): Promise<void> {
    await this.#db.$executeRaw`UPDATE "SceneVideo" SET "updatedAt" = now() WHERE id = ${id}::uuid AND status = 'pending' AND "updatedAt" < now() - interval '30 seconds'`
  }

  /** Ends a pending video; false when it is not pending at that attempt any more, or has a task. */
  async failPending(id: string, attempt: number, error: VideoError): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      if (video.attempt !== attempt || video.status !== 'pending' || video.taskId !== null) return false
      await failRow(tx, id, error)
      return true
    })
  }

  /** @throws Refused. True when the owner has to act on it; false when it is done already. */
  async cancel(userId: string, id: string, attempt: number | null, once: Once | null = null): Promise<{ video: SceneVideo; ownerActs: boolean }> {
    return this.#db.$transaction(async (tx) => {
      const video = await lockOwn(tx, userId, id)
      if (await claimOnce(tx, userId, once, id)) return { video: toSceneVideo(video), ownerActs: video.cancelRequested && !isTerminal(video.status) }
      requireAttempt(video, attempt)
      if (isTerminal(video.status)) throw new Refused(409, 'already_terminal', `The video has ${video.status} already.`)
      const intents = await tx.submission.count({ where: { videoId: id, attempt: video.attempt, OR: [{ answer: null }, { answer: 'accepted' }] } })
      const atOnce = intents === 0 && video.taskId === null
      if (atOnce) await failRow(tx, id, { code: 'cancelled', message: 'Cancelled before it was submitted.' })
      else await tx.sceneVideo.update({ where: { id }, data: { cancelRequested: true } })
      return { video: toSceneVideo(await tx.sceneVideo.findUniqueOrThrow({ where: { id } })), ownerActs: !atOnce }
    })
  }

  /** Opens the next attempt of a failed video. @throws Refused */
  async retry(userId: string, id: string, attempt: number | null, once: Once | null = null): Promise<SceneVideo> {
    return this.#db.$transaction(async (tx) => {
      const video = await lockOwn(tx, userId, id)
      if (await claimOnce(tx, userId, once, id)) return toSceneVideo(video)
      requireAttempt(video, attempt)
      if (video.status !== 'failed') throw new Refused(409, 'not_failed', `Only a failed video can be retried; this one is ${video.status}.`)
      await tx.$executeRaw`
        UPDATE "SceneVideo" SET status = 'pending', phase = 'queued', progress = NULL, "taskId" = NULL, "videoUrl" = NULL, "videoUrlExpiresAt" = NULL,
          "errorCode" = NULL, "errorMessage" = NULL, attempt = attempt + 1, version = version + 1, "cancelRequested" = false, "submittedAt" = NULL,
          "startedAt" = NULL, "completedAt" = NULL, "updatedAt" = now(), "deadlineAt" = now() + "deadlineSeconds" * interval '1 second'
        WHERE id = ${id}::uuid`
      await record(tx, id, 'requested')
      return toSceneVideo(await tx.sceneVideo.findUniqueOrThrow({ where: { id } }))
    })
  }

  /** What an earlier task became, seen after its attempt had ended: onto the timeline, with its link. */
  async noteLate(id: string, attempt: number, send: number, said: 'completed' | 'failed', detail: Record<string, string | null>): Promise<boolean> {
    return this.#db.$transaction(async (tx) => {
      const video = await lock(tx, id)
      const changed = await tx.$executeRaw`
        UPDATE "Submission" SET "settledAt" = now() WHERE "videoId" = ${id}::uuid AND attempt = ${attempt}::int AND send = ${send}::int AND "settledAt" IS NULL`
      if (!changed) return false
      await tx.timeline.create({ data: { videoId: id, version: video.version, attempt, kind: 'late', status: video.status, phase: video.phase, progress: video.progress, service: 'submit', detail: { said, ...detail } } })
      return true
    })
  }
}

/** Locks and reads the row. The lock lasts to the end of the transaction. */
async function lock(tx: Tx, id: string): Promise<VideoRecord> {
  await tx.$queryRaw`SELECT 1 FROM "SceneVideo" WHERE id = ${id}::uuid FOR UPDATE`
  return tx.sceneVideo.findUniqueOrThrow({ where: { id } })
}

async function lockOwn(tx: Tx, userId: string, id: string): Promise<VideoRecord> {
  await tx.$queryRaw`SELECT 1 FROM "SceneVideo" WHERE id = ${id}::uuid FOR UPDATE`
  const video = await tx.sceneVideo.findFirst({ where: { id, userId } })
  if (!video) throw new Refused(404, 'not_found', 'There is no such video.')
  return video
}

function requireAttempt(video: VideoRecord, attempt: number | null): void {
  if (attempt !== null && attempt !== video.attempt) throw new Refused(409, 'not_current_attempt', `The current attempt is ${video.attempt}.`)
}

async function failRow(tx: Tx, id: string, error: VideoError): Promise<void> {
  await tx.$executeRaw`
    UPDATE "SceneVideo" SET status = 'failed', phase = 'done', version = version + 1, "errorCode" = ${error.code}, "errorMessage" = ${error.message},
      "completedAt" = now(), "updatedAt" = now() WHERE id = ${id}::uuid`
  await record(tx, id, 'failed', { ...error })
}

/** Writes the row as it now is to the timeline, its event owed. */
async function record(tx: Tx, id: string, event: string, detail: Record<string, string> | null = null): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, snapshot, owed)
    SELECT v.id, v.version, v.attempt, ${event}, ${event}, v.status, v.phase, v.progress, 'submit', ${detail === null ? null : JSON.stringify(detail)}::jsonb, to_jsonb(v) - 'params', true
    FROM "SceneVideo" v WHERE v.id = ${id}::uuid`
}
