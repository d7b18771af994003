/**
 * What status writes: claims and reports, each kind (a sign of life, a change, an end) in one
 * fenced statement that also writes the timeline.
 *
 * The fence: same attempt, not terminal, and (epoch, report number) greater than the row's. A
 * report that doesn't pass changes nothing; a result that comes after the end is noted on the
 * timeline as late. One row per video per statement: the caller splits a batch so that no video
 * appears twice. A report without a change, a sign of life, is an update and nothing else; one that
 * stands in its row already counts as applied.
 */
import type { Change, Grant, OwedEvent, Report } from '#libs/scene-video/messages.ts'
import { isTerminal, type Status } from '#libs/scene-video/scene-video.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { toVideoEvent, type VideoRow } from './rows.ts'

export interface Bid {
  id: string
  epoch: string
}

export type Fate = 'applied' | 'late' | 'stale'

/** What became of a report, and the event it caused: its own, the last of its video now. */
export interface Outcome {
  fate: Fate
  event: OwedEvent | null
}

interface Recorded {
  id: string
  timelineId: bigint
  event: string
  at: Date
  snapshot: VideoRow
}

type Changed = Report & { change: Change }

const owedEvent = ({ timelineId, event, at, snapshot }: Recorded): OwedEvent => ({
  timelineId,
  event,
  at: at.toISOString(),
  body: toVideoEvent(snapshot),
})

/**
 * An array for Postgres of values that need no quotes. In and out of the two hot statements
 * everything goes as one text: Prisma takes longer over each value than Postgres over its row.
 */
const array = (values: (string | number)[]): string => `{${values.join(',')}}`

/** The fence, of a row `v` and a report `i`. */
// rule: fence: nothing after the end
// rule: fence: the attempt
// rule: fence: the epoch
// rule: fence: the report number
const passesFence = Prisma.sql`v.attempt = i.attempt AND v.status IN ('pending', 'generating') AND v.epoch = i.epoch AND v."reportNo" < i.no`

export class ReportWriter {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Commits bids whose epoch is above the row's; grants come back for these and for bids committed
   * before.
   */
  async commitClaims(session: string, bids: Bid[]): Promise<Grant[]> {
    // rule: a claim commits its epoch
    // rule: a claim below the row’s epoch is refused
    const rows = await this.#db.$queryRaw<(Omit<Grant, 'epoch'> & { epoch: bigint })[]>`
      WITH bid AS (
        SELECT v.id, b.epoch FROM unnest(${bids.map((b) => b.id)}::uuid[], ${bids.map((b) => b.epoch)}::bigint[]) AS b(id, epoch)
        JOIN "SceneVideo" v USING (id)
        WHERE v.status IN ('pending', 'generating') AND v."taskId" IS NOT NULL
        ORDER BY v.id FOR UPDATE OF v
      ), owned AS (
        UPDATE "SceneVideo" v SET epoch = b.epoch, "reportNo" = CASE WHEN v.epoch = b.epoch THEN v."reportNo" ELSE 0 END, session = ${session}
        FROM bid b WHERE v.id = b.id AND (v.epoch < b.epoch OR (v.epoch = b.epoch AND v.session = ${session}))
        RETURNING v.*
      )
      SELECT o.id, o.epoch, o.attempt, o.status::text AS status, o.phase, o.progress, o.provider, o.model, o."taskId", s."baseUrl", s."keyCipher",
        o."reportNo", o."cancelRequested",
        (extract(epoch FROM now() - coalesce(o."submittedAt", o."createdAt")) * 1000)::float8 AS "sinceSubmittedMs",
        (extract(epoch FROM o."deadlineAt" - now()) * 1000)::float8 AS "untilDeadlineMs"
      FROM owned o CROSS JOIN LATERAL (
        SELECT "baseUrl", "keyCipher" FROM "Submission" WHERE "videoId" = o.id AND "taskId" = o."taskId" ORDER BY attempt DESC, send DESC LIMIT 1
      ) s`
    return rows.map((row) => ({ ...row, epoch: row.epoch.toString() }))
  }

  /** Applies reports, at most one per video. Deadlines are judged here, by Postgres' clock. */
  async apply(reports: Report[]): Promise<Map<string, Outcome>> {
    // two statements at once take their locks in one order
    const sorted = reports.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    const changed = sorted.filter((report): report is Changed => report.change !== null)
    const ends = changed.filter((report) => isTerminal(report.change.status))
    const goesOn = changed.filter((report) => !isTerminal(report.change.status))
    const alive = sorted.filter((report) => report.change === null)
    const outcomes = await Promise.all([
      ends.length ? this.#end(ends) : [],
      goesOn.length ? this.#goOn(goesOn) : [],
      alive.length ? this.#keepAlive(alive) : [],
    ])
    return new Map(outcomes.flat())
  }

  async #keepAlive(reports: Report[]): Promise<[string, Outcome][]> {
    const input = Prisma.sql`unnest(${array(reports.map((r) => r.id))}::uuid[], ${array(reports.map((r) => r.attempt))}::int[], ${array(reports.map((r) => r.epoch))}::bigint[], ${array(reports.map((r) => r.no))}::int[]) AS i(id, attempt, epoch, no)`
    const count = await this.#db
      .$executeRaw`UPDATE "SceneVideo" v SET "reportNo" = i.no, "updatedAt" = now() FROM ${input} WHERE v.id = i.id AND ${passesFence}`
    if (count === reports.length)
      return reports.map(({ id }) => [id, { fate: 'applied', event: null }])
    const rows = await this.#db.$queryRaw<
      { id: string }[]
    >`SELECT v.id FROM ${input} JOIN "SceneVideo" v USING (id) WHERE v.attempt = i.attempt AND v.epoch = i.epoch AND v."reportNo" = i.no`
    const applied = new Set(rows.map((row) => row.id))
    return reports.map(({ id }) => [
      id,
      { fate: applied.has(id) ? 'applied' : 'stale', event: null },
    ])
  }

  /** To generating, or further in it. */
  async #goOn(reports: Changed[]): Promise<[string, Outcome][]> {
    const changes = reports.map((report) => report.change)
    const [found] = await this.#db.$queryRaw<{ recorded: string | null }[]>`
      WITH applied AS (
        UPDATE "SceneVideo" v SET
          "reportNo" = i.no, "updatedAt" = now(), version = v.version + 1, status = 'generating', phase = i.phase, progress = i.progress, "startedAt" = coalesce(v."startedAt", now())
        FROM unnest(
          ${array(reports.map((r) => r.id))}::uuid[], ${array(reports.map((r) => r.attempt))}::int[], ${array(reports.map((r) => r.epoch))}::bigint[], ${array(reports.map((r) => r.no))}::int[],
          ${array(changes.map((c) => c.phase))}::text[], ${array(changes.map((c) => c.progress ?? 'NULL'))}::int[]
        ) AS i(id, attempt, epoch, no, phase, progress)
        WHERE v.id = i.id AND ${passesFence}
        RETURNING new.*, old.status AS was
      ), recorded AS (
        INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, epoch, snapshot, owed)
        SELECT a.id, a.version, a.attempt, e.event, e.event, a.status, a.phase, a.progress, 'status', a.epoch, to_jsonb(a) - 'params', true
        FROM applied a CROSS JOIN LATERAL (SELECT CASE WHEN a.was = 'pending' THEN 'generating' ELSE 'progress' END AS event) e
        RETURNING id, snapshot
      )
      SELECT '[' || string_agg('[' || id || ',' || snapshot::text || ']', ',') || ']' AS recorded FROM recorded`
    const recorded = JSON.parse(found?.recorded ?? '[]') as [
      timelineId: number,
      snapshot: VideoRow & { was: Status },
    ][]
    const events = new Map(
      recorded.map(([timelineId, snapshot]) => {
        const body = toVideoEvent(snapshot)
        return [
          body.id,
          {
            timelineId: BigInt(timelineId),
            event: snapshot.was === 'pending' ? 'generating' : 'progress',
            at: body.updatedAt,
            body,
          },
        ]
      }),
    )
    return reports.map(({ id }) => {
      const event = events.get(id)
      return [id, event ? { fate: 'applied', event } : { fate: 'stale', event: null }]
    })
  }

  async #end(reports: Changed[]): Promise<[string, Outcome][]> {
    const changes = reports.map((report) => report.change)
    const rows = await this.#db.$queryRaw<(Recorded & { fate: Fate })[]>`
      WITH input AS (
        SELECT * FROM unnest(
          ${reports.map((r) => r.id)}::uuid[], ${reports.map((r) => r.attempt)}::int[], ${reports.map((r) => r.epoch)}::bigint[], ${reports.map((r) => r.no)}::int[],
          ${changes.map((c) => c.status)}::text[], ${changes.map((c) => c.phase)}::text[], ${changes.map((c) => c.progress)}::int[],
          ${changes.map((c) => c.videoUrl)}::text[], ${changes.map((c) => c.videoUrlExpiresAt)}::timestamptz[],
          ${changes.map((c) => c.error?.code ?? null)}::text[], ${changes.map((c) => c.error?.message ?? null)}::text[]
        ) AS i(id, attempt, epoch, no, status, phase, progress, url, expires, code, message)
      ), held AS (
        SELECT v.id, v.status, v.version, v.attempt, v.epoch, v."reportNo" FROM "SceneVideo" v JOIN input i USING (id) ORDER BY v.id FOR UPDATE OF v
      ), fit AS (
        SELECT i.*, v.status AS was FROM input i JOIN held v USING (id) WHERE ${passesFence}
      ), applied AS (
        UPDATE "SceneVideo" v SET
          "reportNo" = f.no, "updatedAt" = now(),
          version = v.version + CASE WHEN f.was = 'pending' AND f.status = 'completed' THEN 2 ELSE 1 END,
          status = f.status::"Status", phase = f.phase, progress = f.progress,
          "videoUrl" = coalesce(f.url, v."videoUrl"), "videoUrlExpiresAt" = coalesce(f.expires, v."videoUrlExpiresAt"),
          "errorCode" = f.code, "errorMessage" = f.message,
          "startedAt" = CASE WHEN f.status = 'completed' THEN coalesce(v."startedAt", now()) ELSE v."startedAt" END, "completedAt" = now()
        FROM fit f WHERE v.id = f.id RETURNING v.*, f.was
      ), settled AS (
        UPDATE "Submission" s SET "settledAt" = now(), outcome = a.status FROM applied a
        WHERE s."videoId" = a.id AND s."taskId" = a."taskId" AND (a.status = 'completed' OR a."errorCode" NOT IN ('cancelled', 'timed_out'))
      ), first_seen AS (
        INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, epoch, snapshot, owed)
        SELECT a.id, a.version - 1, a.attempt, 'generating', 'generating', 'generating', 'running', a.progress, 'status', a.epoch,
          to_jsonb(a) - 'params' || jsonb_build_object('status', 'generating', 'phase', 'running', 'version', a.version - 1, 'videoUrl', null, 'videoUrlExpiresAt', null, 'completedAt', null), true
        FROM applied a WHERE a.was = 'pending' AND a.status = 'completed' RETURNING id
      ), recorded AS (
        INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, epoch, detail, snapshot, owed)
        SELECT a.id, a.version, a.attempt, a.status, a.status, a.status, a.phase, a.progress, 'status', a.epoch,
          CASE WHEN a."errorCode" IS NULL THEN NULL ELSE jsonb_build_object('code', a."errorCode", 'message', a."errorMessage") END, to_jsonb(a) - 'params', true
        FROM applied a
        WHERE (SELECT count(*) FROM first_seen) >= 0
        RETURNING id, "videoId", event, at, snapshot
      ), late AS (
        INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service, detail)
        SELECT v.id, v.version, i.attempt, 'late', v.status, 'done', i.progress, 'status', jsonb_build_object('said', i.status, 'videoUrl', i.url)
        FROM input i JOIN held v USING (id) WHERE v.status IN ('completed', 'failed') AND v.attempt = i.attempt AND v.epoch = i.epoch AND v."reportNo" < i.no
        RETURNING "videoId"
      )
      SELECT i.id, CASE WHEN r.id IS NOT NULL THEN 'applied' WHEN l."videoId" IS NOT NULL THEN 'late' ELSE 'stale' END AS fate,
        r.id AS "timelineId", r.event, r.at, r.snapshot
      FROM input i LEFT JOIN recorded r ON r."videoId" = i.id LEFT JOIN late l ON l."videoId" = i.id`
    return rows.map((row) => [
      row.id,
      { fate: row.fate, event: row.fate === 'applied' ? owedEvent(row) : null },
    ])
  }
}
