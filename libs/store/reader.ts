/**
 * What may be read by whoever serves a user. Every query is bound to that user: what is not theirs
 * is not found.
 */
import {
  actorSchema,
  type Actor,
  type Phase,
  type SceneVideo,
  type Status,
} from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { toSceneVideo, type VideoRow } from './rows.ts'

export interface VideoFilter {
  status?: Status | undefined
  projectId?: string | undefined
  scriptId?: string | undefined
  sceneId?: string | undefined
}

export interface TimelineEntry {
  version: number
  attempt: number
  at: string
  kind: string
  status: Status
  phase: Phase
  progress: number | null
  service: string
  detail: unknown
  by: Actor | null
  epoch: string | null
}

export interface ProjectAggregate {
  id: string
  title: string
  counts: Record<Status, number>
  /**
   * Mean over all its videos, 0–100: ended ones count 100, unknown progress 0. Null without videos.
   */
  progress: number | null
}

export class Reader {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async video(userId: string, id: string): Promise<SceneVideo | null> {
    const row = await this.#db.sceneVideo.findFirst({ where: { id, userId } })
    return row && toSceneVideo(row)
  }

  /**
   * Newest first; `before` is the id of the last one already read (ids are UUIDv7: they sort by
   * creation).
   */
  async videos(
    userId: string,
    filter: VideoFilter,
    limit: number,
    before?: string,
  ): Promise<SceneVideo[]> {
    const where = { userId, ...defined(filter), ...(before ? { id: { lt: before } } : {}) }
    const rows = await this.#db.sceneVideo.findMany({ where, orderBy: { id: 'desc' }, take: limit })
    return rows.map(toSceneVideo)
  }

  /**
   * Open ones, and those changed within the last minutes: what a live stream shows first. By id,
   * after `after`.
   */
  async liveVideos(
    userId: string,
    projectId: string | undefined,
    after: string,
    limit: number,
    changedWithinMinutes: number,
  ): Promise<SceneVideo[]> {
    const rows = await this.#db.$queryRaw<{ row: VideoRow }[]>`
      SELECT to_jsonb(v) AS row FROM "SceneVideo" v WHERE "userId" = ${userId}::uuid AND (${projectId ?? null}::uuid IS NULL OR "projectId" = ${projectId ?? null}::uuid)
        AND (status IN ('pending', 'generating') OR "updatedAt" > now() - make_interval(mins => ${changedWithinMinutes}::int)) AND id > ${after}::uuid
      ORDER BY id LIMIT ${limit}::int`
    return rows.map(({ row }) => toSceneVideo(row))
  }

  async timeline(userId: string, id: string): Promise<TimelineEntry[] | null> {
    const owned = await this.#db.sceneVideo.count({ where: { id, userId } })
    if (!owned) return null
    const rows = await this.#db.timeline.findMany({
      where: { videoId: id },
      orderBy: { id: 'asc' },
    })
    return rows.map((row) => ({
      version: row.version,
      attempt: row.attempt,
      at: row.at.toISOString(),
      kind: row.kind,
      status: row.status,
      phase: row.phase as Phase,
      progress: row.progress,
      service: row.service,
      detail: row.detail,
      by: actorSchema.nullable().catch(null).parse(row.by),
      epoch: row.epoch === null ? null : String(row.epoch),
    }))
  }

  /** The project's title, and whether it is this user's at all. */
  async project(userId: string, id: string): Promise<ProjectAggregate | null> {
    const project = await this.#db.project.findFirst({ where: { id, userId } })
    if (!project) return null
    const groups = await this.#db.sceneVideo.groupBy({
      by: ['status'],
      where: { projectId: id },
      _count: true,
      _sum: { progress: true },
    })
    const counts: Record<Status, number> = { pending: 0, generating: 0, completed: 0, failed: 0 }
    let sum = 0
    for (const group of groups) {
      counts[group.status] = group._count
      sum +=
        group.status === 'completed' || group.status === 'failed'
          ? 100 * group._count
          : (group._sum.progress ?? 0)
    }
    const total = Object.values(counts).reduce((a, b) => a + b, 0)
    return { id, title: project.title, counts, progress: total ? Math.floor(sum / total) : null }
  }

  async failedVideos(
    userId: string,
    projectId: string,
  ): Promise<{ id: string; attempt: number }[]> {
    return this.#db.sceneVideo.findMany({
      where: { userId, projectId, status: 'failed' },
      select: { id: true, attempt: true },
      orderBy: { id: 'asc' },
    })
  }

  /**
   * The videos that requests under Idempotency-Keys with this beginning changed, as they are now.
   */
  async videosUnderKey(userId: string, route: string, prefix: string): Promise<SceneVideo[]> {
    const keys = await this.#db.idempotencyKey.findMany({
      where: { userId, route, key: { startsWith: prefix } },
      select: { resultId: true },
    })
    const rows = await this.#db.sceneVideo.findMany({
      where: { userId, id: { in: keys.map((one) => one.resultId) } },
      orderBy: { id: 'asc' },
    })
    return rows.map(toSceneVideo)
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Defined<T>
}
