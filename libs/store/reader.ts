/**
 * What may be read by whoever serves a user. Every query is bound to that user: what is not theirs
 * is not found.
 */
import {
  actorSchema,
  ownId,
  type Actor,
  type Phase,
  type SceneVideo,
  type Status,
} from '#libs/scene-video/scene-video.ts'
import type { IdempotencyKey } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { Prisma } from './generated/client.ts'
import { earlierUse } from './idempotency.ts'
import { listVideos, type PageOptions } from './list-videos.ts'
import { projectAggregate, type ProjectAggregate } from './project-aggregate.ts'
import { toSceneVideo, type VideoRow } from './rows.ts'
import type { VideoFilter } from './video-filter.ts'
import { countVideos, statsOf, type StatsBy } from './video-stats.ts'

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
  /** The video as recorded then, where it was asked for; null where the entry changed nothing. */
  snapshot?: SceneVideo | null
}

/** One send of a create, and what is known of it. */
export interface SubmissionEntry {
  attempt: number
  send: number
  /** The id of ours that the provider was given. */
  ownId: string
  provider: string
  answer: 'accepted' | 'unreadable' | 'refused' | 'later' | 'absent' | 'lost' | null
  detail: string | null
  taskId: string | null
  outcome: string | null
  sentAt: string
  answeredAt: string | null
  lookedUpAt: string | null
  settledAt: string | null
}

/** A video that is retried again and again has thousands. */
interface LongPage {
  limit: number
  /** The place of the last one before it. */
  after?: string | undefined
}

/** Written by our own statements as a whole row, or not at all. */
const snapshotOf = (snapshot: unknown): SceneVideo | null =>
  snapshot ? toSceneVideo(snapshot as VideoRow) : null

export class Reader {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  /** The newest state of one. */
  async video(userId: string, id: string): Promise<SceneVideo | null> {
    const row = await this.#db.sceneVideo.findFirst({ where: { id, userId, erasedAt: null } })
    return row && toSceneVideo(row)
  }

  list(filter: VideoFilter, options: PageOptions) {
    return listVideos(this.#db, filter, options)
  }

  counts(filter: VideoFilter) {
    return countVideos(this.#db, filter)
  }

  stats(range: { userId: string | null; fromMs: number; toMs: number }, by: StatsBy) {
    return statsOf(this.#db, range, by)
  }

  /** Postgres' time, which judges dates. */
  async now(): Promise<Date> {
    const [row] = await this.#db.$queryRaw<{ now: Date }[]>`SELECT now() AS now`
    return row!.now
  }

  /**
   * Open ones, and those that ended within the last minutes: what a live stream shows first. By id,
   * after `after`. Indexes: (userId, status, id) and (userId, completedAt).
   */
  async liveVideos(
    userId: string,
    projectId: string | undefined,
    after: string,
    limit: number,
    endedWithinMinutes: number,
  ): Promise<SceneVideo[]> {
    const here = Prisma.sql`v."userId" = ${userId}::uuid AND v.id > ${after}::uuid AND v."erasedAt" IS NULL AND (${projectId ?? null}::uuid IS NULL OR v."projectId" = ${projectId ?? null}::uuid)`
    const rows = await this.#db.$queryRaw<{ row: VideoRow }[]>`
      SELECT to_jsonb(v) AS row FROM "SceneVideo" v WHERE v.id IN (
        SELECT o.id FROM unnest(ARRAY['pending', 'generating']::"Status"[]) AS s(status) CROSS JOIN LATERAL (
          SELECT v.id FROM "SceneVideo" v WHERE v.status = s.status AND ${here} ORDER BY v.id LIMIT ${limit}::int
        ) o
        UNION
        SELECT v.id FROM "SceneVideo" v WHERE ${here} AND v."completedAt" > now() - make_interval(mins => ${endedWithinMinutes}::int)
      ) ORDER BY v.id LIMIT ${limit}::int`
    return rows.map(({ row }) => toSceneVideo(row))
  }

  /** Each with its place. Index: (videoId, id). */
  async timeline(
    userId: string,
    id: string,
    { snapshots, limit, after = '0' }: LongPage & { snapshots: boolean },
  ): Promise<{ at: string; entry: TimelineEntry }[] | null> {
    if (!(await this.#owns(userId, id))) return null
    const rows = await this.#db.timeline.findMany({
      where: { videoId: id, id: { gt: BigInt(after) } },
      orderBy: { id: 'asc' },
      take: limit,
      omit: { snapshot: !snapshots },
    })
    const entryOf = (row: (typeof rows)[number]): TimelineEntry => ({
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
      ...(snapshots ? { snapshot: snapshotOf(row.snapshot) } : {}),
    })
    return rows.map((row) => ({ at: String(row.id), entry: entryOf(row) }))
  }

  /** What was sent to the provider for it, in order; the account's key is not among it. */
  async submissions(
    userId: string,
    id: string,
    { limit, after = '0 0' }: LongPage,
  ): Promise<SubmissionEntry[] | null> {
    if (!(await this.#owns(userId, id))) return null
    const [attempt = 0, send = 0] = after.split(' ').map(Number)
    const rows = await this.#db.submission.findMany({
      where: { videoId: id, OR: [{ attempt: { gt: attempt } }, { attempt, send: { gt: send } }] },
      orderBy: [{ attempt: 'asc' }, { send: 'asc' }],
      take: limit,
      omit: { keyCipher: true, baseUrl: true, videoId: true },
    })
    return rows.map((row) => ({
      attempt: row.attempt,
      send: row.send,
      ownId: ownId(id, row.attempt),
      provider: row.provider,
      answer: row.answer as SubmissionEntry['answer'],
      detail: row.detail,
      taskId: row.taskId,
      outcome: row.outcome,
      sentAt: row.intentAt.toISOString(),
      answeredAt: row.answeredAt?.toISOString() ?? null,
      lookedUpAt: row.lookedAt?.toISOString() ?? null,
      settledAt: row.settledAt?.toISOString() ?? null,
    }))
  }

  async #owns(userId: string, id: string): Promise<boolean> {
    return (await this.#db.sceneVideo.count({ where: { id, userId, erasedAt: null } })) > 0
  }

  async ownsProject(userId: string, id: string): Promise<boolean> {
    return (await this.#db.project.count({ where: { id, userId, erasedAt: null } })) > 0
  }

  /** Whose video it is, for operators. */
  async ownerOf(id: string): Promise<string | null> {
    const row = await this.#db.sceneVideo.findUnique({ where: { id }, select: { userId: true } })
    return row?.userId ?? null
  }

  /** The project, with how far its videos are; null when it is not this user's. */
  project(userId: string, id: string): Promise<ProjectAggregate | null> {
    return projectAggregate(this.#db, userId, id)
  }

  /** What an earlier request under this key made; null without one. @throws Refused */
  madeUnder(userId: string, key: IdempotencyKey): Promise<string | null> {
    return earlierUse(this.#db, userId, key)
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
