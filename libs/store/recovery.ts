/** What stopped on its way: the reconciler's and the starting services' questions to Postgres. */
import type { Database } from './connect.ts'

export class Recovery {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** Pending videos the submit service has to work on, untouched for `idleMs`. */
  async pendingVideos(idleMs: number, limit = 50_000): Promise<string[]> {
    return this.#ids(this.#db.$queryRaw`
      SELECT id FROM "SceneVideo" WHERE status = 'pending' AND "taskId" IS NULL AND "updatedAt" <= now() - ${idleMs}::int * interval '1 millisecond' ORDER BY id LIMIT ${limit}::int`)
  }

  /** Videos with a task that nobody has recorded anything of for `idleMs`. */
  async staleVideos(
    idleMs: number,
    limit = 50_000,
  ): Promise<{ id: string; taskId: string; epoch: bigint }[]> {
    return this.#db.$queryRaw`
      SELECT id, "taskId", epoch FROM "SceneVideo" WHERE status IN ('pending', 'generating') AND "taskId" IS NOT NULL AND "updatedAt" < now() - ${idleMs}::int * interval '1 millisecond' ORDER BY id LIMIT ${limit}::int`
  }

  /** Ids of all videos that have a task and are not ended. */
  async videosWithOpenTask(limit = 200_000): Promise<string[]> {
    return this.#ids(this.#db.$queryRaw`
      SELECT id FROM "SceneVideo" WHERE status IN ('pending', 'generating') AND "taskId" IS NOT NULL ORDER BY id LIMIT ${limit}::int`)
  }

  /**
   * Failed videos with a send whose fate at the provider is not known, within its results' life.
   * Each is looked at again when its age has grown by an eighth, at the earliest after `leastMs`:
   * some seventy times in its life, however often this is asked.
   */
  async unsettledVideos(leastMs = 10_000, limit = 500): Promise<string[]> {
    return this.#ids(this.#db.$queryRaw`
      SELECT v.id FROM "Submission" s JOIN "SceneVideo" v ON v.id = s."videoId"
      WHERE s."settledAt" IS NULL AND v.status = 'failed' AND s."intentAt" > now() - interval '24 hours'
        AND coalesce(s."lookedAt", s."intentAt") <= now() - greatest(${leastMs}::int * interval '1 millisecond', (coalesce(s."lookedAt", s."intentAt") - s."intentAt") / 8)
      GROUP BY v.id ORDER BY min(coalesce(s."lookedAt", s."intentAt")) LIMIT ${limit}::int`)
  }

  /** The greatest epoch of a video in hand. */
  async highestEpoch(): Promise<bigint> {
    const rows = await this.#db.$queryRaw<
      { epoch: bigint }[]
    >`SELECT coalesce(max(epoch), 0) AS epoch FROM "SceneVideo" WHERE status IN ('pending', 'generating')`
    return rows[0]!.epoch
  }

  /**
   * Raises and returns the generation: before the NATS store is made anew, or after Postgres was
   * restored.
   */
  async raiseGeneration(): Promise<number> {
    const rows = await this.#db.$queryRaw<{ generation: number }[]>`
      INSERT INTO "System" (id, generation) VALUES (1, greatest(1, (SELECT coalesce(max(epoch), 0) / 4294967296 + 1 FROM "SceneVideo")))
      ON CONFLICT (id) DO UPDATE SET generation = greatest("System".generation, (SELECT coalesce(max(epoch), 0) / 4294967296 FROM "SceneVideo")) + 1 RETURNING generation`
    return rows[0]!.generation
  }

  /** Idempotency keys are kept for 24 h. */
  async forgetOldKeys(): Promise<number> {
    return this.#db
      .$executeRaw`DELETE FROM "IdempotencyKey" WHERE "createdAt" < now() - interval '24 hours'`
  }

  async #ids(query: Promise<unknown>): Promise<string[]> {
    return ((await query) as { id: string }[]).map((row) => row.id)
  }
}
