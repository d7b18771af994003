/**
 * Erasing what a user archived or does not want any more: prompts, titles, links and metadata go,
 * the rows stay, since they say what was paid and to whom. Videos are erased by the submit service,
 * which owns their rows.
 */
import type { Database } from './connect.ts'
import type { Place } from './library.ts'
import { removeFileOf } from './file-removal.ts'
import { lockOwn } from './video-row.ts'
import { Refused } from '#libs/scene-video/refusals.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'

/** What a snapshot said of a user is blanked too; its event may still be owed. */
const blank = JSON.stringify({
  prompt: '',
  params: {},
  videoUrl: null,
  videoUrlExpiresAt: null,
  errorMessage: null,
  usage: null,
  file: null,
})

/** What an ended video said. @throws Refused when it has not ended, or is not this user's */
export async function eraseVideo(db: Database, userId: string, id: string): Promise<void> {
  await db.$transaction(async (tx) => {
    const { status } = await lockOwn(tx, userId, id)
    if (!isTerminal(status))
      throw new Refused('not_ended', 'Only a video that has ended can be erased; cancel it first.')
    await tx.$executeRaw`
      UPDATE "SceneVideo" SET prompt = '', params = '{}', "videoUrl" = NULL, "videoUrlExpiresAt" = NULL, "errorMessage" = NULL,
        "erasedAt" = now() WHERE id = ${id}::uuid`
    await removeFileOf(tx, id, 'Erased.')
    await tx.$executeRaw`
      UPDATE "Timeline" SET snapshot = CASE WHEN snapshot IS NULL THEN NULL ELSE snapshot || ${blank}::jsonb END, detail = detail - 'videoUrl' - 'message'
      WHERE "videoId" = ${id}::uuid`
    await tx.$executeRaw`UPDATE "Submission" SET detail = NULL WHERE "videoId" = ${id}::uuid`
  })
}

export class Eraser {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** @throws Refused unless it is this user's and archived */
  async requireArchived(userId: string, { projectId, scriptId, sceneId }: Place): Promise<void> {
    const project = { id: projectId, userId, erasedAt: null }
    const found = sceneId
      ? await this.#db.scene.findFirst({
          where: { id: sceneId, erasedAt: null, script: { id: scriptId!, project } },
        })
      : scriptId
        ? await this.#db.script.findFirst({ where: { id: scriptId, erasedAt: null, project } })
        : await this.#db.project.findFirst({ where: project })
    if (!found) throw new Refused('not_found', 'There is nothing here.')
    if (found.archivedAt === null)
      throw new Refused('not_archived', 'Only what is archived can be deleted; archive it first.')
  }

  /** The next videos in there that are not erased yet, and whether one has not ended. */
  async videosIn({ projectId, scriptId, sceneId }: Place, limit: number) {
    return this.#db.sceneVideo.findMany({
      where: {
        projectId,
        ...(scriptId ? { scriptId } : {}),
        ...(sceneId ? { sceneId } : {}),
        erasedAt: null,
      },
      select: { id: true, status: true },
      take: limit,
    })
  }

  async hasOpenVideos({ projectId, scriptId, sceneId }: Place): Promise<boolean> {
    const found = await this.#db.sceneVideo.findFirst({
      where: {
        projectId,
        ...(scriptId ? { scriptId } : {}),
        ...(sceneId ? { sceneId } : {}),
        status: { in: ['pending', 'generating'] },
      },
      select: { id: true },
    })
    return found !== null
  }

  /** What holds videos, once these are erased. */
  async eraseWords({ projectId, scriptId, sceneId }: Place): Promise<void> {
    const [{ now }] = (await this.#db.$queryRaw<{ now: Date }[]>`SELECT now() AS now`) as [
      { now: Date },
    ]
    const gone = { erasedAt: now }
    await this.#db.$transaction(async (tx) => {
      await tx.scene.updateMany({
        where: sceneId ? { id: sceneId } : scriptId ? { scriptId } : { script: { projectId } },
        data: { ...gone, title: null, prompt: '' },
      })
      if (sceneId) return
      await tx.script.updateMany({
        where: scriptId ? { id: scriptId } : { projectId },
        data: { ...gone, title: '' },
      })
      if (scriptId) return
      await tx.aiConfig.deleteMany({ where: { projectId } })
      await tx.project.updateMany({
        where: { id: projectId },
        data: { ...gone, title: '', ownOf: null },
      })
    })
  }
}
