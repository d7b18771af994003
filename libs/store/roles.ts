/**
 * Who may do what in Postgres: one role per service, none of them a superuser, each with the tables
 * it needs. `reelkeeper_owner` owns the tables and applies migrations.
 *
 * A superuser makes the roles once (`createRoles`); every migration grants anew what this table
 * says, in one transaction, to those roles that exist. An installation with a single role of its
 * own needs none of this.
 */
import pg from 'pg'

export const owner = 'reelkeeper_owner'
/** `reelkeeper_operator` is the CLI; `reelkeeper_reader` reads every table, for tools. */
export const serviceRoles = {
  gateway: 'reelkeeper_gateway',
  submit: 'reelkeeper_submit',
  status: 'reelkeeper_status',
  reconciler: 'reelkeeper_reconciler',
  archiver: 'reelkeeper_archiver',
} as const
export const operatorRole = 'reelkeeper_operator'
export const readerRole = 'reelkeeper_reader'
export const roles = [owner, ...Object.values(serviceRoles), operatorRole, readerRole]

const read = ['SELECT']
const change = ['SELECT', 'INSERT', 'UPDATE']
const all = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']
type Grants = Record<string, Partial<Record<keyof typeof serviceRoles, string[]>>>

/** By table. A role that is not named has no access; the operator may change every row. */
export const grants: Grants = {
  User: { gateway: ['SELECT', 'INSERT'], submit: read },
  ApiKey: { gateway: change },
  Project: { gateway: all, submit: read, reconciler: read },
  Script: { gateway: all, submit: read },
  Scene: { gateway: all, submit: read },
  AiConfig: { gateway: ['INSERT', 'UPDATE', 'DELETE'], submit: read },
  SceneVideo: {
    gateway: read,
    submit: change,
    status: ['SELECT', 'UPDATE'],
    reconciler: ['SELECT', 'UPDATE'],
    archiver: ['SELECT', 'UPDATE'],
  },
  File: {
    gateway: ['SELECT', 'UPDATE'],
    submit: ['SELECT', 'UPDATE'],
    reconciler: ['SELECT', 'UPDATE'],
    archiver: change,
  },
  Upload: { gateway: all, submit: ['SELECT', 'UPDATE'], archiver: ['SELECT', 'UPDATE', 'DELETE'] },
  Submission: { submit: change, status: ['SELECT', 'UPDATE'], reconciler: read, archiver: read },
  VideoCount: { gateway: read, reconciler: all },
  VideoCountChange: {
    gateway: read,
    submit: ['INSERT'],
    status: ['INSERT'],
    reconciler: all,
    archiver: ['INSERT'],
  },
  AccountProof: { submit: change, reconciler: ['SELECT', 'DELETE'] },
  ProviderAccount: {
    submit: change,
    gateway: ['SELECT', 'UPDATE'],
    // who locks rows has to be allowed to change them
    reconciler: ['SELECT', 'UPDATE', 'DELETE'],
  },
  ProviderTask: { submit: all, reconciler: read },
  Timeline: {
    gateway: read,
    submit: change,
    status: change,
    reconciler: change,
    archiver: change,
  },
  UserLink: { gateway: read },
  BulkAction: { gateway: change },
  BulkItem: { gateway: change },
  UserUsage: { gateway: all },
  // gateways of earlier versions charge by themselves
  UserSpend: { gateway: change, submit: change },
  IdempotencyKey: { gateway: all, submit: all, reconciler: ['SELECT', 'DELETE'] },
  System: { status: change },
}
/** Columns a role reads of a table it may not read whole. */
// the sealed key of somebody's account is no business of the gateway's
const columns = ['Submission', 'AiConfig'].map((table) => ({
  role: serviceRoles.gateway,
  table,
  except: ['keyCipher'],
}))

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  await client.connect()
  try {
    await client.query('BEGIN')
    // of two that change one table's rights at once Postgres refuses one
    await client.query('SELECT pg_advisory_xact_lock(7_214_001)')
    await work(client)
    await client.query('COMMIT')
  } finally {
    await client.end()
  }
}

/**
 * Makes the roles that are missing, sets their passwords, and gives the database and all its tables
 * to the owner. As a superuser; may be repeated.
 */
export async function createRoles(
  superuserUrl: string,
  password: (role: string) => string,
): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>('SELECT current_database() AS name')
    const database = client.escapeIdentifier(rows[0]!.name)
    for (const role of roles) {
      const found = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role])
      await client.query(
        `${found.rowCount ? 'ALTER' : 'CREATE'} ROLE ${role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD ${client.escapeLiteral(password(role))}`,
      )
      await client.query(`GRANT CONNECT ON DATABASE ${database} TO ${role}`)
    }
    await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`)
    await client.query(`ALTER DATABASE ${database} OWNER TO ${owner}`)
    await client.query(
      `GRANT pg_read_all_data, pg_read_all_stats TO ${readerRole}, ${operatorRole}`,
    )
    await client.query(toOwner)
  })
}

/** Tables, with their indexes and sequences, and types that a superuser's migrations have made. */
const toOwner = `DO $$
DECLARE item record;
BEGIN
  FOR item IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm')
  LOOP EXECUTE format('ALTER TABLE public.%I OWNER TO ${owner}', item.relname); END LOOP;
  FOR item IN SELECT t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = 'public' AND t.typtype IN ('e', 'd')
  LOOP EXECUTE format('ALTER TYPE public.%I OWNER TO ${owner}', item.typname); END LOOP;
END $$`

/**
 * Tables and views, or sequences, that whoever connects owns: an operator's own beside them are no
 * business of ours.
 */
async function ownRelations(client: pg.Client, kinds: string[]): Promise<string> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = ANY($1) AND pg_has_role(relowner, 'USAGE')`,
    [kinds],
  )
  return rows.map(({ name }) => `public.${client.escapeIdentifier(name)}`).join(', ')
}

/** Gives the roles that exist what the table says, and nothing else. As the owner. */
export async function grantRoles(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const tables = await ownRelations(client, ['r', 'p', 'v', 'm', 'f'])
    const sequences = await ownRelations(client, ['S'])
    const { rows } = await client.query<{ rolname: string }>(
      'SELECT rolname FROM pg_roles WHERE rolname = ANY($1)',
      [roles],
    )
    const existing = new Set(rows.map((row) => row.rolname))
    for (const role of [...Object.values(serviceRoles), operatorRole]) {
      if (!existing.has(role)) continue
      await client.query(`REVOKE ALL ON ${tables} FROM ${role}`)
      await client.query(`GRANT USAGE ON SCHEMA public TO ${role}`)
      if (sequences) await client.query(`GRANT USAGE ON SEQUENCE ${sequences} TO ${role}`)
    }
    const grant = async (privileges: string[], table: string, role: string) => {
      if (existing.has(role))
        await client.query(`GRANT ${privileges.join(', ')} ON public."${table}" TO ${role}`)
    }
    for (const [table, byService] of Object.entries(grants)) {
      for (const [service, privileges] of Object.entries(byService))
        await grant(privileges, table, serviceRoles[service as keyof typeof serviceRoles])
      await grant(all, table, operatorRole)
    }
    // each service looks whether the tables are those it knows
    for (const role of Object.values(serviceRoles))
      await grant(['SELECT'], '_prisma_migrations', role)
    for (const { role, table, except } of columns) {
      if (!existing.has(role)) continue
      const found = await client.query<{ name: string }>(
        `SELECT attname AS name FROM pg_attribute
         WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL($2)`,
        [`public."${table}"`, except],
      )
      const list = found.rows.map(({ name }) => client.escapeIdentifier(name)).join(', ')
      await client.query(`GRANT SELECT (${list}) ON public."${table}" TO ${role}`)
    }
  })
}
