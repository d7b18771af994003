/**
 * Accepts a request by one statement: the scene checked, the configuration applied, the row, its
 * timeline entry and the Idempotency-Key written, or nothing of it. Nothing comes back where there
 * is no such scene, or where the key was used before; `waits` for whoever uses the same key at the
 * same moment, no longer than that one's statement takes.
 */
import { Refused } from '#libs/scene-video/refusals.ts'
import type {
  Actor,
  GenerateVideo,
  Guarantee,
  Money,
  SceneVideo,
} from '#libs/scene-video/scene-video.ts'
import type { IdempotencyKey, OwedEvent } from '#libs/scene-video/messages.ts'
import type { Database } from './connect.ts'
import { heldSeconds } from './due-videos.ts'
import { isLockFault } from './errors.ts'
import { earlierUse, keyInUse } from './idempotency.ts'
import { loadedOf, type Found, type Loaded } from './pending-video.ts'
import { owedEvent, toSceneVideo, type Recorded } from './rows.ts'
import { jsonOf } from './video-row.ts'

export interface NewVideo {
  id: string
  userId: string
  projectId: string
  scriptId: string
  sceneId: string
  body: GenerateVideo
  idempotencyKey: IdempotencyKey | null
  /** What nobody chose: the provider, and by provider its model. */
  system: {
    provider: string
    providers: Readonly<Record<string, { model: string; guarantee: Guarantee }>>
  }
  /** What a create of it costs, where that is known. */
  cost?: Money | null
  /** Who asks: onto the timeline. */
  by?: Actor | null
}

/** What was made: its event, and the video as the next step reads it. */
interface Inserted {
  event: OwedEvent
  loaded: Loaded
}

export interface Accepted {
  video: SceneVideo
  /** Null where an earlier request under the same key made the video. */
  made: Inserted | null
}

/** @throws Refused */
export async function acceptVideo(db: Database, request: NewVideo): Promise<Accepted> {
  const made = await insertVideo(db, request).catch((err: unknown) => {
    throw request.idempotencyKey && isLockFault(err) ? keyInUse() : err
  })
  if (made) {
    const { userId: _, ...video } = made.event.body
    return { video, made }
  }
  const { userId, sceneId, idempotencyKey } = request
  const earlier = idempotencyKey && (await earlierUse(db, userId, idempotencyKey))
  const row = earlier && (await db.sceneVideo.findFirst({ where: { id: earlier, sceneId } }))
  if (!row)
    throw new Refused(
      'not_found',
      'There is no such scene in that script and project, or it is archived.',
    )
  return { video: toSceneVideo(row), made: null }
}

/** Null where nothing was made. */
async function insertVideo(db: Database, request: NewVideo): Promise<Inserted | null> {
  const { id, userId, projectId, scriptId, sceneId, idempotencyKey, system } = request
  const { by = null, cost = null } = request
  const { prompt, provider, model, deadlineSeconds, ...params } = request.body
  const { key = null, route = null, bodyHash = null } = idempotencyKey ?? {}
  const [made] = await db.$queryRaw<(Recorded & Read)[]>`
    WITH scene AS (
      SELECT s.id, s.prompt FROM "Scene" s JOIN "Script" t ON t.id = s."scriptId" JOIN "Project" p ON p.id = t."projectId"
      WHERE s.id = ${sceneId}::uuid AND t.id = ${scriptId}::uuid AND p.id = ${projectId}::uuid AND p."userId" = ${userId}::uuid
        AND s."archivedAt" IS NULL AND t."archivedAt" IS NULL AND p."archivedAt" IS NULL AND p."erasedAt" IS NULL
    ), config AS (
      SELECT * FROM "AiConfig" WHERE "userId" = ${userId}::uuid AND ("projectId" IS NULL OR "projectId" = ${projectId}::uuid)
      ORDER BY "projectId" NULLS LAST LIMIT 1
    ), claimed AS (
      INSERT INTO "IdempotencyKey" ("userId", key, route, "bodyHash", "resultId")
      SELECT ${userId}::uuid, ${key}, ${route}, ${bodyHash}, ${id}::uuid FROM scene WHERE ${key}::text IS NOT NULL
      ON CONFLICT ("userId", route, key) DO UPDATE SET "bodyHash" = excluded."bodyHash", "resultId" = excluded."resultId", "createdAt" = now()
      WHERE "IdempotencyKey"."createdAt" < now() - interval '24 hours' RETURNING 1
    ), made AS (
      INSERT INTO "SceneVideo" (id, "userId", "projectId", "scriptId", "sceneId", provider, model, guarantee, prompt, params, cost, "deadlineSeconds", "deadlineAt", "dueAt")
      SELECT ${id}::uuid, ${userId}::uuid, ${projectId}::uuid, ${scriptId}::uuid, s.id, p.name,
        coalesce(${model ?? null}, CASE WHEN c.provider = p.name THEN c.model END, p.known->>'model', ''), p.known->>'guarantee', coalesce(${prompt ?? null}, s.prompt),
        ${JSON.stringify(params)}::jsonb, ${jsonOf(cost)}::jsonb, ${deadlineSeconds ?? null}::int, now() + ${deadlineSeconds ?? null}::int * interval '1 second',
        now() + least(${deadlineSeconds ?? null}::int, ${heldSeconds}::int) * interval '1 second'
      FROM scene s LEFT JOIN config c ON true
      CROSS JOIN LATERAL (SELECT coalesce(${provider ?? null}, c.provider, ${system.provider}) AS name) chosen
      CROSS JOIN LATERAL (SELECT chosen.name, ${JSON.stringify(system.providers)}::jsonb -> chosen.name AS known) p
      WHERE ${key}::text IS NULL OR EXISTS (SELECT 1 FROM claimed)
      RETURNING *
    )
    INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, service, by, snapshot, owed)
    SELECT m.id, m.version, m.attempt, 'requested', 'requested', m.status, m.phase, 'submit', ${jsonOf(by)}::jsonb, to_jsonb(m), true FROM made m
    RETURNING id AS "timelineId", event, at, snapshot, pg_current_xact_id()::xid::text AS revision, (SELECT to_jsonb(c) FROM config c) AS config`
  if (!made) return null
  const { snapshot, revision, config } = made
  const times = {
    untilDeadlineMs: deadlineSeconds ? deadlineSeconds * 1_000 : null,
    requestedMs: 0,
  }
  const nothingYet = { sends: [], nowMs: 0, untilTryMs: null }
  return {
    event: owedEvent(made),
    loaded: loadedOf({ video: snapshot, revision, config, ...nothingYet, ...times }),
  }
}

type Read = Pick<Found, 'revision' | 'config'> & { snapshot: Found['video'] }
