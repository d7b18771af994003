/**
 * Who is who on this machine's Postgres and NATS: each service, the CLI and a local tool have a
 * user of their own, with passwords derived from the secrets in .reelkeeper/secrets.json (0600).
 */
import { serviceUsers, type NatsUser } from '#libs/bus/permissions.ts'
import { operatorRole, owner, serviceRoles } from '#libs/store/roles.ts'
import type { Ports, Secrets } from './state.ts'
import { urlFor } from './servers/passwords.ts'

type Keys = Pick<Secrets, 'natsSecret' | 'postgresSecret'>

export function credentials(ports: Pick<Ports, 'postgres' | 'nats'>, secrets: Keys) {
  const nats = (user: NatsUser) =>
    urlFor(`nats://127.0.0.1:${ports.nats}`, user, secrets.natsSecret)
  const postgres = (role: string) =>
    urlFor(`postgresql://127.0.0.1:${ports.postgres}/reelkeeper`, role, secrets.postgresSecret)
  const roles: Record<string, string> = serviceRoles
  return {
    /** Applies migrations. */
    owner: postgres(owner),
    operator: { DATABASE_URL: postgres(operatorRole), NATS_URL: nats('operator') },
    /**
     * What dev.json carries. On NATS it reads everything and changes nothing; in Postgres it reads
     * everything, and locks and changes rows, as whoever looks into one's own machine needs to.
     */
    tool: { databaseUrl: postgres(operatorRole), natsUrl: nats('tool') },
    /** Settings of a service, and of nobody else's servers that the environment may name. */
    service(name: string): NodeJS.ProcessEnv {
      const user = serviceUsers.find((one) => one === name)
      const role = roles[name]
      return {
        NATS_URL: user && nats(user),
        DATABASE_URL: role && postgres(role),
        ...nothing,
      }
    },
  }
}

const nothing = Object.fromEntries(
  ['USER', 'PASSWORD', 'TOKEN', 'CREDS', 'NKEY', 'CA', 'CERT', 'KEY'].map((name) => [
    `NATS_${name}`,
    undefined,
  ]),
)
