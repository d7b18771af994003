/**
 * After Postgres was restored from an older copy, with the services stopped. What it has forgotten,
 * the world has not: creates may have been sent, events published, epochs given out.
 *
 * So every video that may still be paid for is looked up by own id before anything is sent for it,
 * in this attempt and in later ones; no version and no epoch is used a second time.
 */
import type { Database } from './connect.ts'
import { serviceRoles } from './roles.ts'

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

/** Rows of a statement: each is done well within a statement's time, whatever there is. */
const batch = 20_000

/**
 * `published`: the newest version of each video in the stream; `natsGeneration`: of its buckets, 0
 * without any. Works through the table in batches, each committed by itself; where it was broken
 * off, it is to be run again, and may be.
 */
export async function afterRestore(
  db: Database,
  published: Published[],
  natsGeneration: number,
): Promise<RestoreReport> {
  await db.$executeRaw`
    INSERT INTO "System" (id, generation) VALUES (1, ${natsGeneration}::int) ON CONFLICT (id) DO UPDATE SET generation = greatest("System".generation, ${natsGeneration}::int) + 1`
  const guarded = await guardAll(db)
  let advanced = 0
  const forgotten: string[] = []
  for (let from = 0; from < published.length; from += batch) {
    const some = published.slice(from, from + batch)
    advanced += await advance(db, some)
    forgotten.push(...(await unknownOf(db, some)))
  }
  return { guarded, advanced, forgotten }
}

/** Roles of services that are connected: what they do meanwhile, nothing guards. */
export async function connectedServices(db: Database): Promise<string[]> {
  const rows = await db.$queryRaw<{ role: string }[]>`
    SELECT DISTINCT usename::text AS role FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY(${Object.values(serviceRoles)}::text[]) ORDER BY 1`
  return rows.map(({ role }) => role)
}

/** Index: the primary key, in windows of ids. */
async function guardAll(db: Database): Promise<number> {
  let guarded = 0
  for (let after = '00000000-0000-0000-0000-000000000000'; ;) {
    const [window] = await db.$queryRaw<{ last: string }[]>`
      SELECT id AS last FROM (SELECT id FROM "SceneVideo" WHERE id > ${after}::uuid ORDER BY id LIMIT ${batch}::int) page ORDER BY id DESC LIMIT 1`
    const last = window?.last
    if (!last) return guarded
    guarded +=
      await db.$executeRaw`UPDATE "SceneVideo" SET "restoredAt" = now() WHERE id > ${after}::uuid AND id <= ${last}::uuid AND status <> 'completed'`
    after = last
  }
}

/** Versions go on from what was published. */
async function advance(db: Database, published: Published[]): Promise<number> {
  const ids = published.map((one) => one.videoId)
  const versions = published.map((one) => one.version)
  return db.$executeRaw`
    WITH ahead AS (
      UPDATE "SceneVideo" v SET version = p.version FROM unnest(${ids}::uuid[], ${versions}::int[]) AS p(id, version) WHERE v.id = p.id AND v.version < p.version RETURNING v.*
    )
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service) SELECT id, version, attempt, 'restored', status, phase, progress, 'operator' FROM ahead`
}

async function unknownOf(db: Database, published: Published[]): Promise<string[]> {
  const ids = published.map((one) => one.videoId)
  const rows = await db.$queryRaw<
    { id: string }[]
  >`SELECT p.id FROM unnest(${ids}::uuid[]) AS p(id) WHERE NOT EXISTS (SELECT 1 FROM "SceneVideo" v WHERE v.id = p.id)`
  return rows.map((row) => row.id)
}
