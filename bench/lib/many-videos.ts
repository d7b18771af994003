/**
 * Rows of videos as three months of use leave them: half of them of one user with 200 projects, the
 * rest of others; 96 of 100 completed, 3 failed, 1 open; metadata in every second one.
 */
import type pg from 'pg'

export const days = 90
const batch = 100_000
export const errorCodes = [
  'provider_failed',
  'content_policy',
  'timed_out',
  'cancelled',
  'no_result',
]

/** In one batch: ids are UUIDv7, in the order of time. */
const insert = `
  INSERT INTO "SceneVideo" (id, "sceneId", "scriptId", "projectId", "userId", status, phase, progress, provider, model, prompt, params, "taskId",
    "videoUrl", "errorCode", "errorMessage", version, "createdAt", "requestedAt", "submittedAt", "startedAt", "completedAt", "updatedAt", guarantee)
  SELECT v.id, scene.id, scene.script, scene.project, scene."user", status::"Status", CASE status WHEN 'pending' THEN 'queued' WHEN 'generating' THEN 'running' ELSE 'done' END,
    CASE status WHEN 'completed' THEN 100 END, 'provider-' || v.n % 3, 'model-' || CASE WHEN v.n % 10000 = 0 THEN 'rare' ELSE (v.n % 7)::text END,
    'A ' || (ARRAY['lighthouse','river','kite','train','boat','city','forest'])[1 + v.n % 7] || ' at ' || (ARRAY['dusk','dawn','noon'])[1 + v.n % 3]
      || ', seen from far away, number ' || v.n || CASE WHEN v.n % 50000 = 0 THEN ' unicorn' ELSE '' END,
    CASE WHEN v.n % 2 = 0 THEN jsonb_build_object('durationSeconds', 8, 'metadata', jsonb_build_object('shot', v.n % 100, 'order', 'o-' || v.n)) ELSE '{"durationSeconds": 8}' END,
    'task_' || v.n, CASE status WHEN 'completed' THEN 'https://files.example/' || v.n || '.mp4' END,
    CASE status WHEN 'failed' THEN ($5::text[])[1 + v.n / 100 % 5] END, CASE status WHEN 'failed' THEN 'It did not work.' END,
    5, at, at, at + interval '1 second', at + interval '6 seconds',
    CASE WHEN status IN ('completed', 'failed') THEN at + (20 + v.n % 300) * interval '1 second' END, at + interval '20 seconds', 'proven'
  FROM (
    SELECT t.n, at, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n::bigint), 15, '0'))::uuid AS id,
      CASE WHEN n > $4 - 10000 AND n % 100 < 50 THEN (ARRAY['pending','generating'])[1 + n % 2] WHEN n % 100 < 3 THEN 'failed' ELSE 'completed' END AS status
    FROM (SELECT n, now() - (($4 - n) / $4::float8) * make_interval(days => $3) AS at FROM generate_series($1::int, $2::int) AS n) t
  ) v JOIN bench_scene scene ON scene.n = CASE WHEN v.n % 2 = 0 THEN (v.n / 2) % 4000 ELSE 4000 + (v.n / 2) % 2000 END`

/** Scenes 0–3999 are the large user's, in 200 projects; 4000–5999 of 500 others, 4 scenes each. */
const scenes = `
  CREATE TEMP TABLE bench_scene AS
    SELECT n, gen_random_uuid() AS id, CASE WHEN n < 4000 THEN n / 20 ELSE 200 + (n - 4000) / 4 END AS p FROM generate_series(0, 5999) AS n;
  CREATE TEMP TABLE bench_project AS SELECT p, gen_random_uuid() AS project, gen_random_uuid() AS script FROM generate_series(0, 699) AS p;
  CREATE TEMP TABLE bench_user AS SELECT u, gen_random_uuid() AS "user" FROM generate_series(0, 500) AS u;
  ALTER TABLE bench_project ADD "user" uuid;
  UPDATE bench_project b SET "user" = u."user" FROM bench_user u WHERE u.u = CASE WHEN b.p < 200 THEN 0 ELSE b.p - 199 END;
  INSERT INTO "User" (id, name) SELECT "user", 'user ' || u FROM bench_user;
  INSERT INTO "Project" (id, "userId", title) SELECT project, "user", 'project ' || p FROM bench_project;
  INSERT INTO "Script" (id, "projectId", title) SELECT script, project, 'script' FROM bench_project;
  INSERT INTO "Scene" (id, "scriptId", prompt) SELECT s.id, p.script, 'x' FROM bench_scene s JOIN bench_project p USING (p);
  ALTER TABLE bench_scene ADD script uuid, ADD project uuid, ADD "user" uuid;
  UPDATE bench_scene s SET script = p.script, project = p.project, "user" = p."user" FROM bench_project p WHERE p.p = s.p;
  ALTER TABLE bench_scene ADD PRIMARY KEY (n);`

export interface Filled {
  userId: string
  smallUserId: string
  projects: string[]
  scenes: string[]
}

export async function fill(
  pool: pg.Pool,
  rows: number,
  say: (line: string) => void,
): Promise<Filled> {
  const client = await pool.connect()
  try {
    await client.query('SET synchronous_commit = off')
    await client.query(scenes)
    for (let from = 1; from <= rows; from += batch) {
      say(`${from - 1} of ${rows} rows`)
      const to = Math.min(rows, from + batch - 1)
      await client.query(insert, [from, to, days, rows, errorCodes])
    }
    say('vacuum')
    await client.query('VACUUM ANALYZE')
    const list = async (text: string) =>
      (await client.query<{ id: string }>(text)).rows.map((row) => row.id)
    const users = await list('SELECT "user" AS id FROM bench_user ORDER BY u LIMIT 2')
    return {
      userId: users[0]!,
      smallUserId: users[1]!,
      projects: await list('SELECT project AS id FROM bench_project WHERE p < 200'),
      scenes: await list('SELECT id FROM bench_scene WHERE n < 4000'),
    }
  } finally {
    client.release()
  }
}
