/**
 * The archiver's queue in Postgres. A claim is a lease of some seconds with a fencing token: only
 * who holds the newest one may record what became of a file. Whoever dies loses his claims when
 * they run out; the file is then downloaded again, which costs nothing but time.
 */
import type { Database } from './connect.ts'
import { owedEvent, type Recorded } from './rows.ts'

/** A file to fetch. Durations are milliseconds from Postgres' now. */
export interface ClaimedFile {
  id: string
  userId: string
  attempt: number
  claim: number
  url: string
  /** Until the link dies, negative when it has. */
  untilExpiryMs: number
  tries: number
  provider: string
  taskId: string | null
  /** Whoever held the last claim ended without a word. */
  wasAbandoned: boolean
  /** Of the send that made the task; null where that is not known. */
  account: { baseUrl: string; keyCipher: string } | null
  /** Set by whoever asks for a fresh link: none was given, and none refused. */
  linkMayCome?: boolean
}

/** What is told of a kept file, but for its link and when it was stored. */
export interface FileFacts {
  bytes: number
  sha256: string
  type: string
  container: string
  codec: string | null
  width: number
  height: number
  durationSeconds: number | null
  framesPerSecond: number | null
  hasAudio: boolean
  /** Null where none was made. */
  poster: Preview | null
  strip: (Preview & { frames: number }) | null
}

interface Preview {
  bytes: number
  type: string
  width: number
  height: number
}

/** As `url` names it; Postgres finds the same. */
export const hostOfLink = (url: string): string => /:\/\/([^/?#]*)/.exec(url)?.[1] ?? ''

/** As many of the queue as are held against each other for fairness between users. */
const candidates = 500

/** Where nobody said when a link dies, it is believed to live for so long. */
export const unsaidLifeMs = 86_400_000

export class FileRecords {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /**
   * Puts completed videos that have no row yet into the queue; how many.
   * Index: SceneVideo_unkept_idx. No lock but on the new rows.
   */
  async adopt(limit = 1_000): Promise<number> {
    return this.#db.$executeRaw`
      INSERT INTO "File" ("videoId", "userId", url, "expiresAt")
      SELECT v.id, v."userId", v."videoUrl", v."videoUrlExpiresAt" FROM "SceneVideo" v
      WHERE v.status = 'completed' AND v.file IS NULL AND v."videoUrl" IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM "File" f WHERE f."videoId" = v.id)
      ORDER BY v.id LIMIT ${limit}::int
      ON CONFLICT DO NOTHING`
  }

  /**
   * Claims up to `most` files for `leaseMs`, those whose links die soonest first, and of one user
   * no more than make `perUser` with those that run. Index: File_queue_idx. Locks the claimed rows
   * only, and passes over what somebody else has locked.
   */
  async claim(options: {
    most: number
    perUser: number
    /** Files in work, by user. */
    running: ReadonlyMap<string, number>
    /** None whose link leads there. */
    silentHosts?: readonly string[]
    leaseMs: number
  }): Promise<ClaimedFile[]> {
    const { most, perUser, running, silentHosts = [], leaseMs } = options
    const users = [...running.keys()]
    const full = users.filter((userId) => running.get(userId)! >= perUser)
    // rule: those whose links die soonest first
    // rule: a claim that is held is given to nobody else
    // rule: a claim that is held is given to nobody else, second
    return this.#db.$queryRaw<ClaimedFile[]>`
      WITH due AS (
        SELECT "videoId", "userId", "expiresAt" FROM "File"
        WHERE state = 'waiting' AND "nextTryAt" <= now() AND coalesce("claimedUntil", '-infinity') < now()
          AND "userId" <> ALL(${full}::uuid[]) AND coalesce(substring(url from '://([^/?#]*)'), '') <> ALL(${silentHosts}::text[])
        ORDER BY "expiresAt", "videoId" LIMIT ${candidates}::int
      ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY "userId" ORDER BY "expiresAt", "videoId") AS nth FROM due
      ), chosen AS (
        SELECT f."videoId", f."claimedUntil" IS NOT NULL AS "wasAbandoned" FROM "File" f JOIN ranked r USING ("videoId")
          LEFT JOIN unnest(${users}::uuid[], ${[...running.values()]}::int[]) AS b("userId", files) ON b."userId" = r."userId"
        WHERE r.nth + coalesce(b.files, 0) <= ${perUser}::int AND f.state = 'waiting' AND f."nextTryAt" <= now()
          AND coalesce(f."claimedUntil", '-infinity') < now()
        ORDER BY r."expiresAt", r."videoId" LIMIT ${most}::int FOR UPDATE OF f SKIP LOCKED
      )
      UPDATE "File" f SET claim = f.claim + 1, tries = f.tries + 1,
        "claimedUntil" = now() + ${leaseMs}::int * interval '1 millisecond'
      FROM chosen c JOIN "SceneVideo" v ON v.id = c."videoId" LEFT JOIN LATERAL (
        SELECT jsonb_build_object('baseUrl', s."baseUrl", 'keyCipher', s."keyCipher") AS account FROM "Submission" s
        WHERE s."videoId" = v.id AND s."taskId" = v."taskId" ORDER BY s.attempt DESC, s.send DESC LIMIT 1
      ) made ON true
      WHERE f."videoId" = c."videoId"
      RETURNING f."videoId" AS id, v.provider, v."taskId", made.account, c."wasAbandoned", f."userId", v.attempt, f.claim, f.url, f.tries,
        (extract(epoch FROM coalesce(f."expiresAt", f."createdAt" + ${unsaidLifeMs}::int * interval '1 millisecond') - now()) * 1000)::float8 AS "untilExpiryMs"`
  }

  /** Extends claims; the ids of those that are still held. */
  async renew(held: { id: string; claim: number }[], leaseMs: number): Promise<string[]> {
    const rows = await this.#db.$queryRaw<{ id: string }[]>`
      UPDATE "File" f SET "claimedUntil" = now() + ${leaseMs}::int * interval '1 millisecond'
      FROM unnest(${held.map((one) => one.id)}::uuid[], ${held.map((one) => one.claim)}::int[]) AS h(id, claim)
      WHERE f."videoId" = h.id AND f.claim = h.claim AND f.state = 'waiting' RETURNING h.id`
    return rows.map((row) => row.id)
  }

  /**
   * The file is kept: its row, the video's phase and facts, and the event, in one statement. The
   * owed event; null when the claim is not the newest any more: then the file is somebody else's to
   * record.
   */
  async stored(id: string, claim: number, key: string, facts: FileFacts) {
    // rule: only the newest claim records a file
    const rows = await this.#db.$queryRaw<Recorded[]>`
      WITH kept AS (
        UPDATE "File" SET state = 'stored', key = ${key}, bytes = ${facts.bytes}::bigint,
          "storedAt" = now(), "claimedUntil" = NULL, "lastError" = NULL
        WHERE "videoId" = ${id}::uuid AND claim = ${claim}::int AND state = 'waiting' RETURNING "videoId", "storedAt"
      ), changed AS (
        UPDATE "SceneVideo" v SET phase = 'stored', version = version + 1, "updatedAt" = now(),
          file = ${JSON.stringify({ state: 'stored', ...facts })}::jsonb || jsonb_build_object('storedAt', kept."storedAt")
        FROM kept WHERE v.id = kept."videoId" AND v.status = 'completed' AND v.phase = 'done' RETURNING v.*
      )
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, detail, snapshot, owed)
      SELECT c.id, c.version, c.attempt, 'stored', 'stored', c.status, c.phase, c.progress, 'archiver',
        jsonb_build_object('bytes', ${facts.bytes}::bigint), to_jsonb(c), true FROM changed c
      RETURNING id AS "timelineId", event, at, snapshot`
    return rows[0] ? owedEvent(rows[0]) : null
  }

  /**
   * The provider gave a fresh link; the milliseconds until it dies. Null when the claim is not the
   * newest.
   */
  async renewed(
    id: string,
    claim: number,
    url: string,
    expiresAt: string | null,
  ): Promise<number | null> {
    const rows = await this.#db.$queryRaw<Pick<ClaimedFile, 'untilExpiryMs'>[]>`
      UPDATE "File" SET url = ${url}, "expiresAt" = ${expiresAt}::timestamptz
      WHERE "videoId" = ${id}::uuid AND claim = ${claim}::int AND state = 'waiting'
      RETURNING (extract(epoch FROM coalesce("expiresAt", "createdAt" + ${unsaidLifeMs}::int * interval '1 millisecond') - now()) * 1000)::float8 AS "untilExpiryMs"`
    return rows[0]?.untilExpiryMs ?? null
  }

  /** Tried in vain: again after `delayMs`. */
  async failed(id: string, claim: number, reason: string, delayMs: number): Promise<void> {
    // rule: a failed file waits for its next try
    await this.#db.$executeRaw`
      UPDATE "File" SET "claimedUntil" = NULL, "lastError" = ${reason},
        "nextTryAt" = now() + ${Math.round(delayMs)}::bigint * interval '1 millisecond'
      WHERE "videoId" = ${id}::uuid AND claim = ${claim}::int AND state = 'waiting'`
  }

  /**
   * It cannot be had any more: told in the video and on its timeline. False when the claim is not
   * the newest.
   */
  async lost(id: string, claim: number, reason: string): Promise<boolean> {
    const changed = await this.#db.$executeRaw`
      WITH lost AS (
        UPDATE "File" SET state = 'lost', "claimedUntil" = NULL, "lastError" = ${reason}
        WHERE "videoId" = ${id}::uuid AND claim = ${claim}::int AND state = 'waiting' RETURNING "videoId"
      ), told AS (
        UPDATE "SceneVideo" v SET file = jsonb_build_object('state', 'lost', 'reason', ${reason}::text)
        FROM lost WHERE v.id = lost."videoId" RETURNING v.*
      )
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, status, phase, progress, service, detail)
      SELECT t.id, t.version, t.attempt, 'file_lost', t.status, t.phase, t.progress, 'archiver',
        jsonb_build_object('reason', ${reason}::text) FROM told t`
    return changed === 1
  }

  /**
   * How many wait, and how many of them are in danger: the link dies within `soonMs`, and for a
   * minute they failed or nobody fetched them. With less than five minutes left one failure, or a
   * minute, is enough; and what has failed for six hours is in danger however long its link lives.
   */
  async waiting(soonMs: number): Promise<{ waiting: number; expiringSoon: number }> {
    const [row] = await this.#db.$queryRaw<{ waiting: number; expiringSoon: number }[]>`
      SELECT count(*)::int AS waiting,
        (count(*) FILTER (WHERE ("lastError" IS NOT NULL AND "createdAt" < now() - interval '6 hours') OR dies < now() + ${soonMs}::int * interval '1 millisecond' AND CASE
          WHEN "createdAt" < now() - interval '1 minute' THEN "lastError" IS NOT NULL
            OR coalesce("claimedUntil", '-infinity') < now() OR dies < now() + interval '5 minutes'
          ELSE "lastError" IS NOT NULL AND dies < now() + interval '5 minutes'
        END))::int AS "expiringSoon"
      FROM (
        SELECT *, coalesce("expiresAt", "createdAt" + ${unsaidLifeMs}::int * interval '1 millisecond') AS dies
        FROM "File" WHERE state = 'waiting'
      ) f`
    return row!
  }
}
