/**
 * Videos with all their sends, read by one statement; what decisions about them are taken from. A
 * write that follows names the `revision` it was decided from and changes nothing when the row has
 * changed since: whatever may race (a cancel, a retry, another submit process) changes the row.
 */
import type { SendFacts, VideoFacts } from '#libs/scene-video/decisions.ts'
import type { Database } from './connect.ts'
import { Gather } from './gather.ts'

export interface PendingVideo extends VideoFacts {
  id: string
  userId: string
  projectId: string
  provider: string
  model: string
  prompt: string
  /** As accepted: see `createParamsSchema`. */
  params: unknown
  restoredAt: Date | null
  version: number
}

export interface SendRecord extends SendFacts {
  videoId: string
  provider: string
  baseUrl: string
  keyCipher: string
  detail: string | null
  intentAt: Date
  settledAt: Date | null
  outcome: string | null
  /** Named by a callback, while it was not known otherwise. */
  calledTaskId: string | null
}

/** Of a send as its intent is written. */
export const unanswered = {
  answer: null,
  taskId: null,
  detail: null,
  settledAt: null,
  outcome: null,
  calledTaskId: null,
  lookedAt: null,
  intentAt: new Date(0),
} satisfies Partial<SendRecord>

export interface EffectiveConfig {
  provider: string
  model: string | null
  baseUrl: string | null
  keyCipher: string | null
  source: 'project' | 'user' | 'system'
}

export interface Loaded {
  video: PendingVideo
  revision: string
  /** Of all attempts, in order. */
  submissions: SendRecord[]
  config: EffectiveConfig | null
  /** Of each send, since its intent, by Postgres' clock. */
  ageMs: number[]
  untilDeadlineMs: number | null
  /** Since this attempt was asked for. */
  requestedMs: number
  /** Until it may be tried again; null when it does not wait. */
  untilTryMs: number | null
  waitReason: string | null
}

type Text<T> = { [K in keyof T]: T[K] extends Date | null ? string | null : T[K] }
type Row = Text<PendingVideo> & { waitReason: string | null }
/** As Postgres tells it, in JSON. */
export interface Found {
  video: Row
  revision: string
  sends: (Text<SendRecord> & { intentAt: string })[]
  config: (Omit<EffectiveConfig, 'source'> & { projectId: string | null }) | null
  nowMs: number
  untilDeadlineMs: number | null
  requestedMs: number
  untilTryMs: number | null
}

const date = (text: string | null) => (text === null ? null : new Date(text))

/** Those there are, by id. */
export async function loadVideos(db: Database, ids: string[]): Promise<Map<string, Loaded>> {
  const rows = await db.$queryRaw<{ found: Found }[]>`
    SELECT jsonb_build_object(
      'video', to_jsonb(v) - 'xmin', 'revision', v.xmin::text,
      'sends', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.attempt, s.send), '[]') FROM "Submission" s WHERE s."videoId" = v.id),
      'config', (SELECT to_jsonb(c) FROM "AiConfig" c WHERE c."userId" = v."userId" AND (c."projectId" IS NULL OR c."projectId" = v."projectId") ORDER BY c."projectId" NULLS LAST LIMIT 1),
      'nowMs', extract(epoch FROM now()) * 1000,
      'untilDeadlineMs', extract(epoch FROM v."deadlineAt" - now()) * 1000,
      'requestedMs', extract(epoch FROM now() - v."requestedAt") * 1000,
      'untilTryMs', extract(epoch FROM v."waitUntil" - now()) * 1000
    ) AS found FROM unnest(${ids}::uuid[]) AS i(id) CROSS JOIN LATERAL (SELECT *, xmin FROM "SceneVideo" WHERE id = i.id LIMIT 1) v`
  return new Map(rows.map(({ found }) => [found.video.id, loadedOf(found)]))
}

/** Null where there is no such video. */
export const gatherLoads = (db: Database): Gather<{ id: string }, Loaded | null> =>
  new Gather<{ id: string }, Loaded | null>(
    (items) =>
      loadVideos(
        db,
        items.map(({ id }) => id),
      ),
    async ({ id }) => (await loadVideos(db, [id])).get(id) ?? null,
  )

export function loadedOf({ video, revision, sends, config, nowMs, ...times }: Found): Loaded {
  const restoredAt = date(video.restoredAt)
  const submissions = sends.map((send) => ({
    ...send,
    intentAt: new Date(send.intentAt),
    settledAt: date(send.settledAt),
    lookedAt: date(send.lookedAt),
  }))
  return {
    video: { ...video, restoredAt, requestedAt: date(video.requestedAt)! },
    revision,
    submissions,
    config: config && { ...config, source: config.projectId ? 'project' : 'user' },
    ageMs: submissions.map(
      (send) => nowMs - Math.max(send.intentAt.getTime(), restoredAt?.getTime() ?? 0),
    ),
    waitReason: video.waitReason,
    ...times,
  }
}
