import { createRoles, roles } from '#libs/store/roles.ts'
import { UsageError } from './command.ts'
import { environment } from './config.ts'

export const usage = `  postgres-roles                              makes Postgres' roles, with passwords from POSTGRES_<ROLE>_PASSWORD;
                                              DATABASE_URL is a superuser's. May be repeated, to change passwords`

/** `POSTGRES_GATEWAY_PASSWORD` is the password of `reelkeeper_gateway`. */
export function passwordFrom(env: NodeJS.ProcessEnv, role: string): string {
  const name = `POSTGRES_${role.replace('reelkeeper_', '').toUpperCase()}_PASSWORD`
  const password = env[name]
  if (!password) throw new UsageError(`${name} is not set.`)
  return password
}

export async function run(args: string[]): Promise<void> {
  if (args.length > 0) throw new UsageError('postgres-roles takes no arguments.')
  const env = environment()
  const url = env['DATABASE_URL']
  if (!url) throw new UsageError('DATABASE_URL is not set: the database, as a superuser.')
  await createRoles(url, (role) => passwordFrom(env, role))
  process.stdout.write(`made ${roles.join(', ')}\n`)
}
