/** The timeline as the outbox of the events: rows with `owed` set are committed and not yet known to be published. */
import { toVideoEvent, type VideoRow } from './rows.ts'
import type { Database } from './connect.ts'

export class Outbox {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async owed(videoIds: string[] | null, limit: number) {
    const rows = await this.#db.timeline.findMany({
      where: { owed: true, ...(videoIds ? { videoId: { in: videoIds } } : {}) },
      orderBy: { id: 'asc' },
      take: limit,
      select: { id: true, event: true, at: true, snapshot: true },
    })
    return rows.map((row) => ({ timelineId: row.id, event: row.event ?? '', at: row.at.toISOString(), body: toVideoEvent(row.snapshot as unknown as VideoRow) }))
  }

  async markPublished(timelineIds: bigint[]): Promise<void> {
    await this.#db.$executeRaw`UPDATE "Timeline" SET owed = false WHERE id = ANY(${timelineIds}::bigint[])`
  }

  /** Videos whose events have been owed for longer than `ms`. */
  async overdue(ms: number, limit: number): Promise<string[]> {
    const rows = await this.#db.$queryRaw<{ videoId: string }[]>`
      SELECT DISTINCT "videoId" FROM (SELECT "videoId" FROM "Timeline" WHERE owed AND at < now() - ${ms}::int * interval '1 millisecond' ORDER BY id LIMIT ${limit}::int) t`
    return rows.map((row) => row.videoId)
  }
}
