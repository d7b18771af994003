/**
 * Prints deploy/nats.conf from the table of permissions:
 * `node deploy/nats-config.ts > deploy/nats.conf`. Each password comes from the environment of
 * nats-server.
 */
import { authorization } from '#libs/bus/permissions.ts'

export const natsConfig = (): string =>
  `# Generated from libs/bus/permissions.ts by deploy/nats-config.ts. Passwords come from the environment.
ping_interval: "3s"
ping_max: 2
write_deadline: "5s"
${authorization((user) => `$NATS_${user.toUpperCase()}_PASSWORD`)}`

if (import.meta.main) process.stdout.write(natsConfig())
