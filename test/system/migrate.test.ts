import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'
import { migrate, schemaDiff } from '#libs/store/migrate.ts'
import { openDatabase } from '#libs/store/connect.ts'
import { migrationNames, missingMigrations, waitForMigrations } from '#libs/store/migrated.ts'
import { createRoles, grantRoles, owner, serviceRoles } from '#libs/store/roles.ts'
import { createLogger } from '#libs/runtime/logger.ts'

const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-migrate-'))
chmodSync(dir, 0o755)
let server: LocalServer
beforeAll(async () => {
  server = await startPostgres({ dir: join(dir, 'postgres') })
})
afterAll(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const catalogue = `
  SELECT format('%s.%s %s %s %s', c.table_name, c.column_name, c.udt_name, c.is_nullable, c.column_default) AS line FROM information_schema.columns c
    WHERE c.table_schema = 'public' AND c.table_name <> '_prisma_migrations'
  UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> '_prisma_migrations'
  UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n' AND conrelid::regclass::text <> '_prisma_migrations'
  ORDER BY 1`

async function describeDatabase(
  url: string,
  fill: (client: pg.Client) => Promise<unknown>,
): Promise<string[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    await fill(client)
    return (await client.query<{ line: string }>(catalogue)).rows.map((row) => row.line)
  } finally {
    await client.end()
  }
}

it('the migrations lead to schema.prisma, and run again they change nothing', async () => {
  const fresh = await schemaDiff(server.url, 'empty')
  const migrated = await describeDatabase(server.url, async () => {
    expect((await migrate(server.url)).length).toBeGreaterThan(1)
    expect(await migrate(server.url)).toEqual([])
  })
  await describeDatabase(server.url, (client) => client.query('CREATE DATABASE fresh'))
  const wanted = await describeDatabase(server.url.replace(/\/\w+$/, '/fresh'), (client) =>
    client.query(fresh),
  )
  expect(migrated.length).toBeGreaterThan(50)
  expect(wanted.filter((line) => !migrated.includes(line))).toEqual([])
  const more = migrated.filter((line) => !wanted.includes(line))
  // what schema.prisma has no words for
  const inSqlOnly = /^CREATE INDEX .*( WHERE | INCLUDE | USING gin )/
  expect(more.filter((line) => !inSqlOnly.test(line))).toEqual([])
})

it('every table survives a crash of Postgres', async () => {
  await migrate(server.url)
  const client = new pg.Client(server.url)
  await client.connect()
  const { rows } = await client.query(
    `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relpersistence <> 'p'`,
  )
  await client.end()
  expect(rows).toEqual([])
})

it('the owner migrates beside tables, views and sequences that are somebody else’s', async () => {
  await migrate(server.url)
  await createRoles(server.url, () => 'secret')
  const client = new pg.Client(server.url)
  await client.connect()
  try {
    await client.query('CREATE TABLE copied AS SELECT * FROM "SceneVideo"')
    await client.query('CREATE TABLE counted (no bigserial)')
    await client.query('CREATE VIEW looked AS SELECT 1 AS one')
    await client.query(`GRANT DELETE ON "SceneVideo" TO ${serviceRoles.status}`)
    const url = new URL(server.url)
    Object.assign(url, { username: owner, password: 'secret' })
    expect(await migrate(url.href)).toEqual([])
    // by several at once
    await Promise.all(Array.from({ length: 6 }, () => grantRoles(url.href)))
    const may = `SELECT has_table_privilege('${serviceRoles.status}', '"SceneVideo"', 'DELETE') AS delete,
      has_table_privilege('${serviceRoles.status}', '"SceneVideo"', 'UPDATE') AS update,
      has_table_privilege('${serviceRoles.status}', 'copied', 'SELECT') AS others`
    expect((await client.query(may)).rows).toEqual([{ delete: false, update: true, others: false }])
  } finally {
    await client.end()
  }
})

it('a service waits until all migrations that it knows are applied, with its own role', async () => {
  await createRoles(server.url, () => 'secret')
  const client = new pg.Client(server.url)
  await client.connect()
  await client.query('CREATE DATABASE late')
  await client.end()
  const url = new URL(server.url.replace(/\/\w+$/, '/late'))
  const as = (username: string) =>
    Object.assign(new URL(url), { username, password: 'secret' }).href
  const db = openDatabase(as(serviceRoles.status), 1)
  try {
    expect(await missingMigrations(db)).toEqual(await migrationNames())
    let waits = true
    const waiting = waitForMigrations(db, createLogger('test', 'silent')).then(
      () => (waits = false),
    )
    await migrate(server.url.replace(/\/\w+$/, '/late'))
    await waiting
    expect(waits).toBe(false)
    const late = new pg.Client(url.href)
    await late.connect()
    const newest = (await migrationNames()).at(-1)!
    await late.query(
      `UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name = '${newest}'`,
    )
    expect(await missingMigrations(db)).toEqual([newest])
    await late.query(`REVOKE ALL ON _prisma_migrations FROM ${serviceRoles.status}`)
    expect(await missingMigrations(db)).toEqual([])
    await late.end()
  } finally {
    await db.$disconnect()
  }
})
