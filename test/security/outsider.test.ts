/**
 * A whole system as `npm start` runs it, and an outsider on the same machine: with nothing, with
 * another account of it, with what one service knows. None of them comes further than the table in
 * docs/security.md says.
 */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inboxPrefix, type NatsUser } from '#libs/bus/permissions.ts'
import { operatorRole, owner, readerRole, serviceRoles } from '#libs/store/roles.ts'
import { connectNats } from '../support/nats.ts'
import { System, until } from '../support/system.ts'

const system = new System({ POLL_INTERVAL_MS: '300' })

beforeAll(async () => {
  await system.start()
  await system.simulate({ minSeconds: 0.5, maxSeconds: 1, tier: 'off' })
})
afterAll(() => system[Symbol.asyncDispose]())

/** The first error of a statement, or null where it is carried out. */
async function refusal(url: string, sql: string): Promise<string | null> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  try {
    await client.connect()
    await client.query('BEGIN')
    await client.query(sql)
    return null
  } catch (err) {
    return (err as Error).message
  } finally {
    await client.end().catch(() => {})
  }
}

describe('with nothing', () => {
  it('is let into Postgres under no name and no password', async () => {
    const { port } = new URL(system.dev.databaseUrl)
    const roles = ['postgres', owner, readerRole, operatorRole, ...Object.values(serviceRoles)]
    for (const role of roles)
      for (const user of [role, `${role}:`, `${role}:postgres`, `${role}:${role}`])
        for (const database of ['reelkeeper', 'postgres', 'template1'])
          expect(
            await refusal(`postgresql://${user}@127.0.0.1:${port}/${database}`, 'SELECT 1'),
          ).toMatch(/password|SASL/)
  })

  it('is let into NATS neither, so nobody submits, cancels or forges anything', async () => {
    const { host } = new URL(system.dev.natsUrl)
    for (const user of ['', 'tool:tool@', 'gateway:@', 'token@', 'admin:admin@'])
      await expect(connectNats(`nats://${user}${host}`)).rejects.toThrow(/Authorization Violation/)
  })

  it('finds every file with a secret closed to others', () => {
    const kept = ['secrets.json', 'dev.json', 'operator.json', 'nats/nats.conf']
    for (const name of kept)
      expect(statSync(join(system.dir, '.reelkeeper', name)).mode & 0o077, name).toBe(0)
  })

  it.runIf(process.getuid?.() === 0)('finds nothing as another account of the machine', () => {
    const script = `
      for f in secrets.json dev.json operator.json nats/nats.conf; do
        cat "${system.dir}/.reelkeeper/$f" >/dev/null 2>&1 && echo "read $f"
      done
      for p in ${system.dev.processes.map(({ pid }) => pid).join(' ')}; do
        cat /proc/$p/environ >/dev/null 2>&1 && echo "environment of $p"
        tr '\\0' ' ' < /proc/$p/cmdline | grep -qi 'password' && echo "arguments of $p"
      done; true`
    const nobody = 65_534
    const run = spawnSync('bash', ['-c', script], { uid: nobody, gid: nobody, encoding: 'utf8' })
    expect(run.stdout).toBe('')
    expect(run.status).toBe(0)
  })
})

describe('with the password of one service', () => {
  const cases: [string, string, RegExp | null][] = [
    ['gateway', `UPDATE "SceneVideo" SET status = 'completed'`, /permission denied/],
    ['gateway', `SELECT "keyCipher" FROM "Submission"`, /permission denied/],
    ['gateway', `SELECT "taskId" FROM "Submission"`, null],
    ['gateway', `SELECT "keyCipher" FROM "AiConfig"`, /permission denied/],
    ['gateway', `UPDATE "AiConfig" SET "keyCipher" = "keyCipher" || ''`, /permission denied/],
    ['gateway', `SELECT "apiKeyLast4" FROM "AiConfig"`, null],
    ['gateway', `UPDATE "User" SET name = 'x'`, /permission denied/],
    ['gateway', `DELETE FROM "Timeline"`, /permission denied/],
    ['status', `SELECT * FROM "ApiKey"`, /permission denied/],
    ['status', `SELECT * FROM "AiConfig"`, /permission denied/],
    ['status', `DELETE FROM "SceneVideo"`, /permission denied/],
    ['submit', `SELECT * FROM "ApiKey"`, /permission denied/],
    ['submit', `UPDATE "AiConfig" SET "baseUrl" = 'https://evil.example'`, /permission denied/],
    ['reconciler', `SELECT * FROM "ApiKey"`, /permission denied/],
    ['reconciler', `INSERT INTO "SceneVideo" (id) VALUES (gen_random_uuid())`, /permission denied/],
    ['reader', `SELECT * FROM "ApiKey"`, null],
    ['reader', `UPDATE "SceneVideo" SET version = 1`, /permission denied/],
    ['operator', `SELECT * FROM "SceneVideo" FOR UPDATE`, null],
    ['operator', `SELECT query FROM pg_stat_activity, _prisma_migrations`, null],
    ['operator', `DROP TABLE "SceneVideo"`, /must be owner/],
    ['owner', `COPY (SELECT 1) TO PROGRAM 'id'`, /permission denied/],
  ]
  it.each(cases)('%s: %s', async (name, sql, expected) => {
    const message = await refusal(system.internal.postgresAs(`reelkeeper_${name}`), sql)
    if (expected) expect(message).toMatch(expected)
    else expect(message).toBeNull()
  })

  it('runs no program, reads no file, makes no table and no role', async () => {
    for (const role of [readerRole, operatorRole, ...Object.values(serviceRoles)])
      for (const sql of [
        `COPY (SELECT 1) TO PROGRAM 'id'`,
        `SELECT pg_read_file('/etc/passwd')`,
        'CREATE TABLE mine (id int)',
        'CREATE ROLE mine SUPERUSER',
        `SET ROLE postgres`,
        `ALTER ROLE ${owner} PASSWORD 'mine'`,
      ])
        expect(await refusal(system.internal.postgresAs(role), sql), `${role}: ${sql}`).toMatch(
          /permission denied|must be|Only roles/,
        )
  })

  it('says nothing in the name of another one', async () => {
    const id = crypto.randomUUID()
    const attempts: [NatsUser, string][] = [
      ['subscriber', 'video.command.generate'],
      ['tool', 'video.command.cancel'],
      ['tool', `video.out.completed.${id}`],
      ['gateway', `video.out.completed.${id}`],
      ['gateway', 'video.claim.commit'],
      ['poller', 'video.command.generate'],
      ['tool', '$JS.API.STREAM.DELETE.VIDEO'],
      ['subscriber', '$JS.API.STREAM.PURGE.VIDEO'],
    ]
    for (const [user, subject] of attempts) {
      const nc = await connectNats(system.internal.natsAs(user), { inboxPrefix: inboxPrefix(user) })
      await expect(nc.request(subject, '{}', { timeout: 3_000 })).rejects.toThrow(
        /Permissions Violation/,
      )
      await nc.close()
    }
  })
})

it('goes on working whole, and no service is refused anything it needs', async () => {
  const id = await system.submit()
  await until(
    'the video to complete',
    async () => (await system.video(id)).status === 'completed' || undefined,
  )
  await system.kill9('poller-1')
  const next = await system.submit()
  await until(
    'another one to complete',
    async () => (await system.video(next)).status === 'completed' || undefined,
  )
  expect(system.output).not.toMatch(/nats refused|permission denied|Permissions Violation/)
})
