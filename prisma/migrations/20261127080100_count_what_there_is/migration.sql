-- What there is by now, while writers go on. One statement sees one moment: the changes noted by
-- then are in what it counts, and go. Those noted later stay.
WITH noted AS (
  DELETE FROM "VideoCountChange"
), hourly AS MATERIALIZED (
  SELECT "userId", "projectId", date_trunc('hour', video_created(id, "createdAt"), 'UTC') AS hour, provider, model, status, coalesce("errorCode", '') AS code, "erasedAt" IS NOT NULL AS erased, count(*) AS count
  FROM "SceneVideo" WHERE status IN ('completed', 'failed') GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
)
INSERT INTO "VideoCount" (scope, since, provider, model, status, "errorCode", "isErased", count)
SELECT s.scope, s.since, provider, model, status, code, erased, sum(count)
FROM hourly h CROSS JOIN LATERAL (VALUES
  ('00000000-0000-0000-0000-000000000000'::uuid, date_trunc('day', hour, 'UTC')), ('00000000-0000-0000-0000-000000000001', hour), ("userId", date_trunc('day', hour, 'UTC')), ("projectId", date_trunc('day', hour, 'UTC')), ("userId", '-infinity'), ("projectId", '-infinity')
) AS s(scope, since) GROUP BY 1, 2, 3, 4, 5, 6, 7;
