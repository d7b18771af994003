/**
 * Applies prisma/migrations with Prisma's own schema engine (its WebAssembly build, so nothing is
 * downloaded). Writes the same `_prisma_migrations` rows as `prisma migrate deploy`; either may be
 * used. Safe to run again and by several at once.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { PrismaPg } from '@prisma/adapter-pg'
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils'
import { SchemaEngine } from '@prisma/schema-engine-wasm'
import pg from 'pg'
import { migrationNames } from './migrated.ts'
import { grantRoles } from './roles.ts'

const prismaDir = new URL('../../prisma/', import.meta.url)
const filters = { externalTables: [], externalEnums: [] }

/** Runs the engine on connections that are closed when it is done. */
async function withEngine<T>(
  connectionString: string,
  run: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  const schema = await readFile(new URL('schema.prisma', prismaDir), 'utf8')
  const pool = new pg.Pool({ connectionString })
  try {
    const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPg(pool))
    return await run(
      await SchemaEngine.new({ datamodels: [['schema.prisma', schema]] }, () => {}, factory),
    )
  } finally {
    await pool.end()
  }
}

/**
 * Applies what is missing, grants the services' roles what they need, and returns the names
 * applied, oldest first.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const baseDir = fileURLToPath(new URL('migrations', prismaDir))
  const migrationDirectories = await Promise.all(
    (await migrationNames()).map(async (path) => ({
      path,
      migrationFile: {
        path: 'migration.sql',
        content: {
          tag: 'ok' as const,
          value: await readFile(`${baseDir}/${path}/migration.sql`, 'utf8'),
        },
      },
    })),
  )
  const lockfile = {
    path: 'migration_lock.toml',
    content: await readFile(`${baseDir}/migration_lock.toml`, 'utf8'),
  }
  const { appliedMigrationNames } = await withEngine(databaseUrl, (engine) =>
    engine.applyMigrations({
      migrationsList: { baseDir, lockfile, migrationDirectories, shadowDbInitScript: '' },
      filters,
    }),
  )
  await grantRoles(databaseUrl)
  return appliedMigrationNames
}

/**
 * The SQL that leads from an empty database, or from the database's present state, to
 * prisma/schema.prisma.
 */
export async function schemaDiff(databaseUrl: string, from: 'empty' | 'database'): Promise<string> {
  const path = fileURLToPath(new URL('schema.prisma', prismaDir))
  const content = await readFile(path, 'utf8')
  const { stdout } = await withEngine(databaseUrl, (engine) =>
    engine.diff({
      from: from === 'empty' ? { tag: 'empty' } : { tag: 'url', url: databaseUrl },
      to: { tag: 'schemaDatamodel', files: [{ path, content }] },
      script: true,
      exitCode: null,
      filters,
    }),
  )
  return stdout ?? ''
}

if (import.meta.main) {
  const url = process.env['DATABASE_URL']
  if (!url) throw new Error('DATABASE_URL is not set: the Postgres to migrate')
  const applied = await migrate(url)
  process.stdout.write(applied.length ? `applied ${applied.join(', ')}\n` : 'nothing to apply\n')
}
