import { connect, type ConnectionOptions, type NatsConnection } from 'nats'
import { connectionOptions } from '#libs/bus/auth.ts'
import { natsUsers, permissionsOf, type NatsUser } from '#libs/bus/permissions.ts'

/** A bare client, with the credentials that `url` carries: the package itself ignores them. */
export const connectNats = (url: string, more: ConnectionOptions = {}): Promise<NatsConnection> =>
  connect({ ...connectionOptions({ NATS_URL: url }), ...more })

/** Whether a subject without wildcards is one of `pattern`. */
export function fits(pattern: string, subject: string): boolean {
  const [want, have] = [pattern.split('.'), subject.split('.')]
  return (
    want.every((token, i) =>
      token === '>' ? have.length > i : token === '*' ? have[i] !== undefined : token === have[i],
    ) &&
    (want.at(-1) === '>' || want.length === have.length)
  )
}

/** The users that the table lets publish on a subject. */
export const publishersOf = (subject: string): NatsUser[] =>
  natsUsers.filter((user) => permissionsOf(user).publish.some((one) => fits(one, subject)))
