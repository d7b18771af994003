/**
 * Accepts requests, those of the same moment by one statement: the scene checked, the configuration
 * applied, the row, its timeline entry and the Idempotency-Key written, or nothing of it. Nothing
 * comes back where there is no such scene, or where the key was used before; it waits for whoever
 * uses the same key at the same moment, no longer than that one's statement takes.
 */
import { bootMs } from '#libs/runtime/clock.ts'
import { notAwaited, Refused } from '#libs/scene-video/refusals.ts'
import type {
  Actor,
  GenerateVideo,
  Guarantee,
  Money,
  SceneVideo,
} from '#libs/scene-video/scene-video.ts'
import type { Charge } from '#libs/scene-video/charge.ts'
import type { IdempotencyKey, OwedEvent } from '#libs/scene-video/messages.ts'
import { requireAwaited } from './cancel-retry.ts'
import type { Database } from './connect.ts'
import { heldSeconds } from './due-videos.ts'
import { isLockFault } from './errors.ts'
import { Gather } from './gather.ts'
import { Prisma } from './generated/client.ts'
import { earlierUse, keyInUse } from './idempotency.ts'
import { loadedOf, type Found, type Loaded } from './pending-video.ts'
import type { PostgresTime } from './postgres-time.ts'
import { owedEvent, toSceneVideo, type Recorded } from './rows.ts'
import { chargeUser } from './spend.ts'
import type { Tx } from './video-row.ts'

interface SystemProvider {
  model: string
  /** At the system's own address. */
  guarantee: Guarantee
  /** At a user's own: where its host, or a suffix of it, is among these; null: at every one. */
  anywhere: { hosts: readonly string[] | null; guarantee: Guarantee }
}

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
    providers: Readonly<Record<string, SystemProvider>>
  }
  /** What a create of it costs, where that is known. */
  cost?: Money | null
  /** Where it is charged. */
  charge?: Charge | null
  /** Who asks: onto the timeline. */
  by?: Actor | null
  /** Boot time; nothing is made after it. */
  beginBy?: number
}

/** The same in Postgres' time. */
type Timed = NewVideo & { until: number | null }

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
export async function acceptVideo(
  db: Database,
  time: PostgresTime,
  inserts: ReturnType<typeof gatherInserts>,
  request: NewVideo,
): Promise<Accepted> {
  const until = request.beginBy === undefined ? null : await time.at(request.beginBy)
  const timed = { ...request, until }
  const making = request.charge ? insertCharged(db, time, timed, request.charge) : inserts.do(timed)
  const made = await making.catch((err: unknown) => {
    throw request.idempotencyKey && isLockFault(err) ? keyInUse() : err
  })
  if (made) {
    const { userId: _, ...video } = made.event.body
    return { video, made }
  }
  const { userId, sceneId, idempotencyKey } = request
  const earlier = idempotencyKey && (await earlierUse(db, userId, idempotencyKey))
  const row = earlier && (await db.sceneVideo.findFirst({ where: { id: earlier, sceneId } }))
  if (!row && until !== null && until <= (await time.now())) throw notAwaited()
  if (!row)
    throw new Refused(
      'not_found',
      'There is no such scene in that script and project, or it is archived.',
    )
  return { video: toSceneVideo(row), made: null }
}

/** Null where nothing was made. */
export const gatherInserts = (db: Database, time: PostgresTime): Gather<Timed, Inserted | null> =>
  new Gather<Timed, Inserted | null>(
    (requests) => insertVideos(db, time, requests),
    async (request) => (await insertVideos(db, time, [request])).get(request.id) ?? null,
  )

/** Alone, since only its own charge may undo it. @throws Refused */
const insertCharged = (db: Database, time: PostgresTime, request: Timed, charge: Charge) =>
  db.$transaction(async (tx) => {
    const made = (await insertVideos(tx, time, [request])).get(request.id)
    if (!made) return null
    await chargeUser(tx, request.userId, charge)
    requireAwaited(request.beginBy)
    return made
  })

/** What is new, as columns of text; Postgres knows their types. */
const columns = (requests: Timed[]) => {
  const of = (value: (request: Timed) => unknown) =>
    requests.map((request) => {
      const one = value(request) ?? null
      return one === null || typeof one === 'string' ? one : JSON.stringify(one)
    })
  const params = ({ body }: NewVideo) => {
    const { prompt: _, provider: __, model: ___, deadlineSeconds: ____, ...rest } = body
    return rest
  }
  return Prisma.sql`unnest(
    ${of(({ id }) => id)}::uuid[], ${of(({ userId }) => userId)}::uuid[], ${of(({ projectId }) => projectId)}::uuid[], ${of(({ scriptId }) => scriptId)}::uuid[],
    ${of(({ sceneId }) => sceneId)}::uuid[], ${of(({ body }) => body.prompt)}::text[], ${of(({ body }) => body.provider)}::text[], ${of(({ body }) => body.model)}::text[],
    ${of(({ body }) => body.deadlineSeconds)}::text[]::int[], ${of(params)}::text[]::jsonb[], ${of(({ cost }) => cost)}::text[]::jsonb[], ${of(({ by }) => by)}::text[]::jsonb[],
    ${of(({ idempotencyKey }) => idempotencyKey?.key)}::text[], ${of(({ idempotencyKey }) => idempotencyKey?.route)}::text[], ${of(({ idempotencyKey }) => idempotencyKey?.bodyHash)}::text[],
    ${of(({ until }) => until)}::text[]::float8[]
  ) AS i(id, "userId", "projectId", "scriptId", "sceneId", prompt, provider, model, "deadlineSeconds", params, cost, by, key, route, "bodyHash", until)`
}

/** Of the account it will be made with, as things stand: the user's own where that is there. */
const guaranteed = Prisma.sql`CASE
  WHEN "configProvider" IS DISTINCT FROM name OR config->>'keyCipher' IS NULL OR config->>'baseUrl' IS NULL OR known IS NULL THEN known->>'guarantee'
  WHEN known#>'{anywhere,hosts}' = 'null' THEN known#>>'{anywhere,guarantee}'
  WHEN EXISTS (
    SELECT FROM jsonb_array_elements_text(known#>'{anywhere,hosts}') own
    WHERE '.' || split_part(config->>'baseUrl', '/', 3) LIKE '%.' || own
  ) THEN known#>>'{anywhere,guarantee}' ELSE 'none' END`

/** What was made, by id. Keys are claimed in order: no two statements wait for each other. */
async function insertVideos(
  db: Pick<Tx, '$queryRaw'>,
  time: PostgresTime,
  requests: Timed[],
): Promise<Map<string, Inserted>> {
  const { system } = requests[0]!
  const like = requests.filter((request) => request.system === system)
  const askedAt = bootMs()
  // rule: Postgres makes nothing of a request that it comes to too late
  const rows = await db.$queryRaw<(Recorded & Read)[]>`
    WITH i AS MATERIALIZED (
      SELECT i.*, s.prompt AS "scenePrompt" FROM ${columns(like)}
      JOIN "Scene" s ON s.id = i."sceneId" JOIN "Script" t ON t.id = s."scriptId" JOIN "Project" p ON p.id = t."projectId"
      WHERE t.id = i."scriptId" AND p.id = i."projectId" AND p."userId" = i."userId"
        AND s."archivedAt" IS NULL AND t."archivedAt" IS NULL AND p."archivedAt" IS NULL AND p."erasedAt" IS NULL
        AND (i.until IS NULL OR i.until > extract(epoch FROM clock_timestamp()) * 1000)
    ), claimed AS (
      INSERT INTO "IdempotencyKey" ("userId", key, route, "bodyHash", "resultId")
      SELECT "userId", key, route, "bodyHash", id FROM i WHERE key IS NOT NULL ORDER BY "userId", route, key
      ON CONFLICT ("userId", route, key) DO UPDATE SET "bodyHash" = excluded."bodyHash", "resultId" = excluded."resultId", "createdAt" = now()
      WHERE "IdempotencyKey"."createdAt" < now() - interval '24 hours' RETURNING "resultId"
    ), wanted AS (
      SELECT i.*, p.name, p.known, c.provider AS "configProvider", c.model AS "configModel", to_jsonb(c) AS config FROM i
      LEFT JOIN LATERAL (
        SELECT * FROM "AiConfig" c WHERE c."userId" = i."userId" AND (c."projectId" IS NULL OR c."projectId" = i."projectId") ORDER BY c."projectId" NULLS LAST LIMIT 1
      ) c ON true
      CROSS JOIN LATERAL (SELECT coalesce(i.provider, c.provider, ${system.provider}) AS name) chosen
      CROSS JOIN LATERAL (SELECT chosen.name, ${JSON.stringify(system.providers)}::jsonb -> chosen.name AS known) p
      WHERE i.key IS NULL OR i.id IN (SELECT "resultId" FROM claimed)
    ), made AS (
      INSERT INTO "SceneVideo" (id, "userId", "projectId", "scriptId", "sceneId", provider, model, guarantee, prompt, params, cost, "deadlineSeconds", "deadlineAt", "dueAt")
      SELECT id, "userId", "projectId", "scriptId", "sceneId", name,
        coalesce(model, CASE WHEN "configProvider" = name THEN "configModel" END, known->>'model', ''), ${guaranteed}, coalesce(prompt, "scenePrompt"),
        params, cost, "deadlineSeconds", now() + "deadlineSeconds" * interval '1 second', now() + least("deadlineSeconds", ${heldSeconds}::int) * interval '1 second'
      FROM wanted RETURNING *
    ), told AS (
      INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, service, by, snapshot, owed)
      SELECT m.id, m.version, m.attempt, 'requested', 'requested', m.status, m.phase, 'submit', w.by, to_jsonb(m), true FROM made m JOIN wanted w USING (id)
      RETURNING id, "videoId", event, at, snapshot
    )
    SELECT t."videoId" AS id, t.id AS "timelineId", t.event, t.at, t.snapshot, pg_current_xact_id()::xid::text AS revision, w.config,
      (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS "clockMs" FROM told t JOIN wanted w ON w.id = t."videoId"`
  if (rows[0]) time.told(rows[0].clockMs, askedAt)
  return new Map(rows.map((row) => [row.id, insertedOf(row)]))
}

function insertedOf(made: Recorded & Read): Inserted {
  const { snapshot, revision, config } = made
  const { deadlineSeconds } = snapshot
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

type Read = Pick<Found, 'revision' | 'config'> & {
  id: string
  clockMs: number
  snapshot: Found['video'] & { deadlineSeconds: number | null }
}
