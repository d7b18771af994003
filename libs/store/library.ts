/**
 * Projects, scripts and scenes as their user finds and changes them; what makes them is in
 * projects.ts. What is archived is out of the lists and takes nothing new; what is erased is not
 * found. Every statement is bound to the user: what is not theirs is not found.
 */
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { toSceneVideo, type VideoRow } from './rows.ts'

interface PartRecord {
  id: string
  title: string
  createdAt: string
  archivedAt: string | null
}
/** Limits of what it keeps of its files, see file-retention.ts. */
export interface FileLimits {
  fileDays: number | null
  fileBytes: number | null
}
export type ProjectRecord = PartRecord & FileLimits
export interface ScriptRecord extends PartRecord {
  projectId: string
}
export interface SceneRecord {
  id: string
  projectId: string
  scriptId: string
  title: string | null
  prompt: string
  createdAt: string
  archivedAt: string | null
  newestVideo: SceneVideo | null
}

/** Where a script or a scene is; what is absent is not asked for. */
export interface Place {
  projectId: string
  scriptId?: string
  sceneId?: string
}
export interface LibraryPage {
  limit: number
  after?: string | undefined
  archived: boolean
}

type Row = { id: string; title: string; createdAt: Date; archivedAt: Date | null }
type ProjectRow = Row & { fileDays: number | null; fileBytes: bigint | null }
export const limitsOf = (row: Pick<ProjectRow, keyof FileLimits>): FileLimits => ({
  fileDays: row.fileDays,
  fileBytes: row.fileBytes === null ? null : Number(row.fileBytes),
})
const toProject = (row: ProjectRow): ProjectRecord => ({ ...toPart(row), ...limitsOf(row) })
const toPart = ({ id, title, createdAt, archivedAt }: Row): PartRecord => ({
  id,
  title,
  createdAt: createdAt.toISOString(),
  archivedAt: archivedAt?.toISOString() ?? null,
})
const toScript = (row: Row & { projectId: string }): ScriptRecord => ({
  ...toPart(row),
  projectId: row.projectId,
})
const pageWhere = ({ after, archived }: LibraryPage) => ({
  erasedAt: null,
  archivedAt: archived ? { not: null } : null,
  ...(after ? { id: { lt: after } } : {}),
})
const newestFirst = { id: 'desc' } as const

export class Library {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async projects(userId: string, page: LibraryPage): Promise<ProjectRecord[]> {
    const where = { userId, ...pageWhere(page) }
    const rows = await this.#db.project.findMany({
      where,
      orderBy: newestFirst,
      take: page.limit,
    })
    return rows.map(toProject)
  }

  async project(userId: string, { projectId }: Place): Promise<ProjectRecord | null> {
    const row = await this.#db.project.findFirst({
      where: { id: projectId, userId, erasedAt: null },
    })
    return row && toProject(row)
  }

  /** Null when there is no such project of this user. */
  async scripts(
    userId: string,
    projectId: string,
    page: LibraryPage,
  ): Promise<ScriptRecord[] | null> {
    const own = { id: projectId, userId, erasedAt: null }
    if (!(await this.#db.project.count({ where: own }))) return null
    const rows = await this.#db.script.findMany({
      where: { projectId, ...pageWhere(page) },
      orderBy: newestFirst,
      take: page.limit,
    })
    return rows.map(toScript)
  }

  async script(userId: string, { projectId, scriptId }: Place): Promise<ScriptRecord | null> {
    const row = await this.#db.script.findFirst({
      where: { id: scriptId!, projectId, erasedAt: null, project: { userId, erasedAt: null } },
    })
    return row && toScript(row)
  }

  /**
   * In the order they were made in, since that is the order of a script. Null when there is no such
   * script. Index: (scriptId, id), then (sceneId, id) once a scene.
   */
  async scenes(userId: string, place: Place, page: LibraryPage): Promise<SceneRecord[] | null> {
    if (!(await this.script(userId, place))) return null
    return this.#scenes(
      Prisma.sql`s."scriptId" = ${place.scriptId}::uuid AND (s."archivedAt" IS NOT NULL) = ${page.archived} AND (${page.after ?? null}::uuid IS NULL OR s.id > ${page.after ?? null}::uuid)`,
      page.limit,
    )
  }

  async scene(userId: string, place: Place): Promise<SceneRecord | null> {
    if (!(await this.script(userId, place))) return null
    const [scene] = await this.#scenes(
      Prisma.sql`s.id = ${place.sceneId}::uuid AND s."scriptId" = ${place.scriptId}::uuid`,
      1,
    )
    return scene ?? null
  }

  async #scenes(where: Prisma.Sql, limit: number): Promise<SceneRecord[]> {
    type Found = Omit<SceneRecord, 'newestVideo' | 'createdAt' | 'archivedAt'> & {
      createdAt: Date
      archivedAt: Date | null
      video: VideoRow | null
    }
    const rows = await this.#db.$queryRaw<Found[]>`
      SELECT s.id, t."projectId", s."scriptId", s.title, s.prompt, s."createdAt", s."archivedAt", n.video
      FROM "Scene" s JOIN "Script" t ON t.id = s."scriptId" LEFT JOIN LATERAL (
        SELECT to_jsonb(v) AS video FROM "SceneVideo" v WHERE v."sceneId" = s.id AND v."erasedAt" IS NULL ORDER BY v.id DESC LIMIT 1
      ) n ON true
      WHERE s."erasedAt" IS NULL AND ${where} ORDER BY s.id LIMIT ${limit}::int`
    return rows.map(({ video, ...row }) => ({
      ...row,
      createdAt: row.createdAt.toISOString(),
      archivedAt: row.archivedAt?.toISOString() ?? null,
      newestVideo: video && toSceneVideo(video),
    }))
  }

  /** False when there is no such thing of this user. What is undefined stays. */
  async change(
    userId: string,
    { projectId, scriptId, sceneId }: Place,
    data: { title?: string | null; prompt?: string; archived?: boolean } & Partial<FileLimits>,
  ): Promise<boolean> {
    const { archived, fileDays, fileBytes, ...words } = data
    const limits = {
      ...(fileDays === undefined ? {} : { fileDays }),
      ...(fileBytes === undefined ? {} : { fileBytes }),
    }
    const { now } = (await this.#db.$queryRaw<{ now: Date }[]>`SELECT now() AS now`)[0]!
    const archive = archived === undefined ? {} : { archivedAt: archived ? now : null }
    // archived twice, it stays archived since the first time
    const since = archived === true ? { archivedAt: null } : {}
    const project = { id: projectId, userId, erasedAt: null }
    const title = words.title ?? undefined
    const update = async (where: object) => {
      if (sceneId)
        return this.#db.scene.updateMany({
          where: {
            id: sceneId,
            erasedAt: null,
            script: { id: scriptId!, erasedAt: null, project },
            ...where,
          },
          data: { ...words, ...archive },
        })
      const own = { ...(title === undefined ? {} : { title }), ...archive }
      if (scriptId)
        return this.#db.script.updateMany({
          where: { id: scriptId, erasedAt: null, project, ...where },
          data: own,
        })
      // the user's own project, archived, is replaced by a new one
      const data = { ...own, ...limits, ...(archived ? { ownOf: null } : {}) }
      return this.#db.project.updateMany({ where: { ...project, ...where }, data })
    }
    if ((await update(since)).count > 0) return true
    return (
      archived === true && (await this.#exists(userId, { projectId, scriptId, sceneId } as Place))
    )
  }

  async #exists(userId: string, { projectId, scriptId, sceneId }: Place): Promise<boolean> {
    const project = { id: projectId, userId, erasedAt: null }
    const count = sceneId
      ? this.#db.scene.count({
          where: { id: sceneId, erasedAt: null, script: { id: scriptId!, project } },
        })
      : scriptId
        ? this.#db.script.count({ where: { id: scriptId, erasedAt: null, project } })
        : this.#db.project.count({ where: project })
    return (await count) > 0
  }
}
