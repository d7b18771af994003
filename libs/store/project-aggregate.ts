/** A project and how far it is: by all its videos, and by the newest one of each scene. */
import type { Status } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { limitsOf } from './library.ts'
import { countVideos } from './video-stats.ts'

/** Scenes by the status of their newest video; `none` have no video yet. */
export type SceneCounts = Record<Status | 'none', number>

export interface ProjectAggregate {
  id: string
  title: string
  createdAt: string
  archivedAt: string | null
  fileDays: number | null
  fileBytes: number | null
  counts: Record<Status, number>
  /**
   * Mean over all its videos, 0–100: ended ones count 100, unknown progress 0. Null without videos.
   */
  progress: number | null
  /** Null where it has more scenes than are counted. */
  scenes: SceneCounts | null
}

/** Each is a look into an index; a project of more is a heap of single videos, not a film. */
const mostScenes = 10_000

/** Null when it is not this user's. */
export async function projectAggregate(
  db: Database,
  userId: string,
  id: string,
): Promise<ProjectAggregate | null> {
  const project = await db.project.findFirst({ where: { id, userId, erasedAt: null } })
  if (!project) return null
  const [{ isPartial: _, ...counts }, open, scenes] = await Promise.all([
    countVideos(db, { userId, projectId: id }),
    db.sceneVideo.aggregate({
      where: { userId, projectId: id, status: { in: ['pending', 'generating'] } },
      _sum: { progress: true },
    }),
    sceneCounts(db, id),
  ])
  const sum = 100 * (counts.completed + counts.failed) + (open._sum.progress ?? 0)
  const total = Object.values(counts).reduce((a, b) => a + b, 0)
  return {
    id,
    title: project.title,
    createdAt: project.createdAt.toISOString(),
    archivedAt: project.archivedAt?.toISOString() ?? null,
    ...limitsOf(project),
    counts,
    progress: total ? Math.floor(sum / total) : null,
    scenes,
  }
}

/**
 * Archived and erased ones are left out. Indexes: scripts of a project, scenes of a script, videos
 * of a scene, newest first.
 */
async function sceneCounts(db: Database, projectId: string): Promise<SceneCounts | null> {
  const rows = await db.$queryRaw<{ status: Status | 'none'; count: number }[]>`
    SELECT coalesce(n.status::text, 'none') AS status, count(*)::int AS count
    FROM (
      SELECT s.id FROM "Script" t JOIN "Scene" s ON s."scriptId" = t.id
      WHERE t."projectId" = ${projectId}::uuid AND t."erasedAt" IS NULL AND t."archivedAt" IS NULL AND s."erasedAt" IS NULL AND s."archivedAt" IS NULL
      LIMIT ${mostScenes + 1}::int
    ) s LEFT JOIN LATERAL (
      SELECT v.status FROM "SceneVideo" v WHERE v."sceneId" = s.id AND v."erasedAt" IS NULL ORDER BY v.id DESC LIMIT 1
    ) n ON true
    GROUP BY 1`
  const counts: SceneCounts = { none: 0, pending: 0, generating: 0, completed: 0, failed: 0 }
  for (const { status, count } of rows) counts[status] = count
  const total = Object.values(counts).reduce((a, b) => a + b, 0)
  return total > mostScenes ? null : counts
}
