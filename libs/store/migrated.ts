/** Whether the database has all migrations that this version was written for. */
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { PrismaClient } from './generated/client.ts'

const directory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url))
const table = '_prisma_migrations'
const tryAgainMs = 500

/** Names of migrations, oldest first. */
export async function migrationNames(): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
}

/**
 * Names of those that are not applied. None where that cannot be told: earlier versions let
 * services read nothing of it.
 */
export async function missingMigrations(db: PrismaClient): Promise<string[]> {
  const names = await migrationNames()
  const [seen] = await db.$queryRaw<{ readable: boolean | null }[]>`
    SELECT has_table_privilege(to_regclass(${`public.${table}`}), 'SELECT') AS readable`
  if (seen!.readable === null) return names
  if (!seen!.readable) return []
  const rows = await db.$queryRaw<{ name: string }[]>`
    SELECT migration_name AS name FROM "_prisma_migrations" WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL`
  const applied = new Set(rows.map(({ name }) => name))
  return names.filter((name) => !applied.has(name))
}

/** Waits for them however long it takes, and says so every few seconds. @throws as Postgres does */
export async function waitForMigrations(
  db: PrismaClient,
  log: Logger,
  signal?: AbortSignal,
): Promise<void> {
  for (let tries = 0; ; tries++) {
    signal?.throwIfAborted()
    const missing = await missingMigrations(db)
    if (missing.length === 0) return
    if (tries % 20 === 0) log.warn({ missing }, 'waiting for migrations: run `npm run migrate`')
    await sleep(tryAgainMs, signal)
  }
}
