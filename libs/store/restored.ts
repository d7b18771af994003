/**
 * After Postgres was restored from an older copy, with the services stopped. What it has forgotten,
 * the world has not: creates may have been sent, events published, epochs given out.
 *
 * So every video that may still be paid for is looked up by own id before anything is sent for it,
 * in this attempt and in later ones; no version and no epoch is used a second time.
 */
import type { Database } from './connect.ts'

export interface Published {
  videoId: string
  version: number
}

export interface RestoreReport {
  /** Not completed ones: nothing is sent for them unseen. */
  guarded: number
  /** Whose version went on from the newest event published. */
  advanced: number
  /** Published about, and unknown to Postgres now. */
  forgotten: string[]
}

/**
 * `published`: the newest version of each video in the stream; `natsGeneration`: of its buckets, 0
 * without any. May be repeated.
 */
export async function afterRestore(
  db: Database,
  published: Published[],
  natsGeneration: number,
): Promise<RestoreReport> {
  const ids = published.map((one) => one.videoId)
  const versions = published.map((one) => one.version)
  return db.$transaction(
    async (tx) => {
      await tx.$executeRaw`
      INSERT INTO "System" (id, generation) VALUES (1, ${natsGeneration}::int) ON CONFLICT (id) DO UPDATE SET generation = greatest("System".generation, ${natsGeneration}::int) + 1`
      const guarded =
        await tx.$executeRaw`UPDATE "SceneVideo" SET "restoredAt" = now() WHERE status <> 'completed'`
      const advanced = await tx.$executeRaw`
      WITH ahead AS (
        UPDATE "SceneVideo" v SET version = p.version FROM unnest(${ids}::uuid[], ${versions}::int[]) AS p(id, version) WHERE v.id = p.id AND v.version < p.version RETURNING v.*
      )
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service) SELECT id, version, attempt, 'restored', status, phase, progress, 'operator' FROM ahead`
      const forgotten = await tx.$queryRaw<
        { id: string }[]
      >`SELECT p.id FROM unnest(${ids}::uuid[]) AS p(id) WHERE NOT EXISTS (SELECT 1 FROM "SceneVideo" v WHERE v.id = p.id)`
      return { guarded, advanced, forgotten: forgotten.map((row) => row.id) }
    },
    { timeout: 600_000 },
  )
}
