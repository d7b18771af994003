/** Where the file of a video is kept, for whoever serves it. */
import type { Database } from './connect.ts'
import { toSceneVideo, type VideoRow } from './rows.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'

export interface KeptFile {
  video: SceneVideo
  /** In the file store; null while it is not kept there. */
  key: string | null
  /** The newest link of the provider's, while the file is fetched; null without one. */
  renewedUrl: string | null
  sceneTitle: string | null
}

export class FileReader {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Null when this user has no such video. One statement, by primary keys. */
  async find(userId: string, id: string): Promise<KeptFile | null> {
    const [row] = await this.#db.$queryRaw<({ video: VideoRow } & Omit<KeptFile, 'video'>)[]>`
      SELECT to_jsonb(v) AS video, CASE f.state WHEN 'stored' THEN f.key END AS key, CASE f.state WHEN 'waiting' THEN f.url END AS "renewedUrl", s.title AS "sceneTitle"
      FROM "SceneVideo" v JOIN "Scene" s ON s.id = v."sceneId" LEFT JOIN "File" f ON f."videoId" = v.id
      WHERE v.id = ${id}::uuid AND v."userId" = ${userId}::uuid AND v."erasedAt" IS NULL`
    return row ? { ...row, video: toSceneVideo(row.video) } : null
  }
}
