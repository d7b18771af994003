/**
 * The timeline as the outbox of the events: rows with `owed` set are committed and not yet known to
 * be published; a published one has the sequence of the stream at which, or below which, it is
 * stored.
 */
import { toVideoEvent, type VideoRow } from './rows.ts'
import type { Database } from './connect.ts'
import type { Prisma } from './generated/client.ts'

/** More than what is published between two syncs of NATS (2 minutes by default). */
const rowsLookedAt = 500_000

export class Outbox {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async owed(videoIds: string[] | null, limit: number) {
    return this.#events({ owed: true, ...(videoIds ? { videoId: { in: videoIds } } : {}) }, limit)
  }

  /**
   * A video's events above one version and below another that were stored at a sequence of at least
   * `since`, or are owed.
   */
  async eventsBetween(videoId: string, above: number, below: number, since: number) {
    return this.#events(
      {
        videoId,
        version: { gt: above, lt: below },
        OR: [{ sequence: { gte: since } }, { owed: true }],
      },
      10_000,
    )
  }

  async #events(where: Prisma.TimelineWhereInput, limit: number) {
    const rows = await this.#db.timeline.findMany({
      where,
      orderBy: { id: 'asc' },
      take: limit,
      select: { id: true, event: true, at: true, snapshot: true },
    })
    return rows.map((row) => ({
      timelineId: row.id,
      event: row.event ?? '',
      at: row.at.toISOString(),
      body: toVideoEvent(row.snapshot as unknown as VideoRow),
    }))
  }

  async markPublished(published: { timelineId: bigint; sequence: number }[]): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "Timeline" t SET owed = false, sequence = p.sequence
      FROM unnest(${published.map((one) => one.timelineId)}::bigint[], ${published.map((one) => BigInt(one.sequence))}::bigint[]) AS p(id, sequence) WHERE t.id = p.id`
  }

  /**
   * The newest version of each video that was stored at a sequence above that one. Looks at the
   * newest rows only.
   */
  async newestStored(above: number): Promise<{ videoId: string; version: number }[]> {
    return this.#db.$queryRaw`
      SELECT "videoId", max(version) AS version FROM "Timeline"
      WHERE sequence > ${BigInt(above)}::bigint AND id > (SELECT coalesce(max(id), 0) FROM "Timeline") - ${rowsLookedAt}::int GROUP BY "videoId"`
  }

  /** Owes again what is above these versions and was stored at a sequence of at least `since`. */
  async markUnpublishedAbove(
    lost: { videoId: string; version: number }[],
    since: number,
  ): Promise<void> {
    await this.#db.$executeRaw`
      UPDATE "Timeline" t SET owed = true, sequence = NULL
      FROM unnest(${lost.map((one) => one.videoId)}::uuid[], ${lost.map((one) => one.version)}::int[]) AS l(id, version)
      WHERE t."videoId" = l.id AND t.version > l.version AND t.sequence >= ${BigInt(since)}::bigint`
  }

  /** Videos whose events have been owed for longer than `ms`. */
  async overdue(ms: number, limit: number): Promise<string[]> {
    const rows = await this.#db.$queryRaw<{ videoId: string }[]>`
      SELECT DISTINCT "videoId" FROM (SELECT "videoId" FROM "Timeline" WHERE owed AND at < now() - ${ms}::int * interval '1 millisecond' ORDER BY id LIMIT ${limit}::int) t`
    return rows.map((row) => row.videoId)
  }
}
