/**
 * A Postgres with our tables for a test. The first that asks makes the data directory, the others
 * get a copy: initdb and the migrations cost a second of a core each time. Without fsync: what
 * tests kill is a process, never the machine.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { migrate } from '#libs/store/migrate.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import type { LocalServer } from '#services/dev/servers/server-process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Starts it on new data in `dir`, whose parent every user may enter. */
export async function startDatabase(dir: string): Promise<LocalServer> {
  const made = join(root, 'node_modules/.cache/postgres', keyOf())
  if (!existsSync(made)) await make(made)
  copy(made, dir)
  return startPostgres({ dir })
}

/** Another migration, another way of starting, another Postgres: another directory. */
function keyOf(): string {
  const migrations = join(root, 'prisma/migrations')
  const files = readdirSync(migrations, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.sql'))
    .toSorted()
    .map((name) => join(migrations, name))
  const hash = createHash('sha256')
  for (const file of [
    ...files,
    join(root, 'package-lock.json'),
    join(root, 'services/dev/servers/postgres.ts'),
    fileURLToPath(import.meta.url),
  ])
    hash.update(readFileSync(file))
  return hash.digest('hex').slice(0, 16)
}

async function make(made: string): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), 'reelkeeper-database-'))
  chmodSync(temporary, 0o755)
  try {
    const dir = join(temporary, 'postgres')
    const server = await startPostgres({ dir })
    await migrate(server.url)
    await server.stop()
    appendFileSync(join(dir, 'postgresql.conf'), '\nfsync = off\n')
    mkdirSync(dirname(made), { recursive: true })
    const copied = mkdtempSync(`${made}-`)
    copy(dir, join(copied, 'postgres'))
    try {
      renameSync(join(copied, 'postgres'), made)
    } catch (err) {
      if (!existsSync(made)) throw err // else another was first
    } finally {
      rmSync(copied, { recursive: true, force: true })
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** With its owner: Postgres runs as a user of its own where we are root. */
function copy(from: string, to: string): void {
  const run = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' })
  if (run.status !== 0) throw new Error(`cp ${from} ${to}: ${run.error?.message ?? run.stderr}`)
}
