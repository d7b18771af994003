/** The container engine of this machine, by its own command line; absent, its tests are skipped. */
import { spawnSync } from 'node:child_process'

/** Runs to the end; throws with what it printed unless it ended with 0. */
export function run(command: string, args: string[]): string {
  const done = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 900_000,
    maxBuffer: 256 * 1024 * 1024,
  })
  if (done.status !== 0)
    throw new Error(
      `${command} ${args.join(' ')}: ${done.error?.message ?? ''}${done.stdout}${done.stderr}`,
    )
  return done.stdout
}

export const docker = (...args: string[]): string => run('docker', args)

const answers = (command: string, args: string[]) =>
  spawnSync(command, args, { stdio: 'ignore', timeout: 60_000 }).status === 0

const bases = ['node:24-bookworm-slim', 'gcr.io/distroless/nodejs24-debian12:nonroot']

const whyNot = (images: string[]): string | null => {
  if (!answers('docker', ['version'])) return 'no container engine answers `docker version`'
  const isHere = (image: string) =>
    answers('docker', ['image', 'inspect', image]) || answers('docker', ['pull', image])
  const missing = images.find((image) => !isHere(image))
  return missing
    ? `${missing} is not here and cannot be pulled (test/images/stand-ins.sh makes one)`
    : null
}

/** Why the image cannot be built here; null when it can. */
export const whyNoImage = (): string | null => whyNot(bases)

/** Why docker-compose.yml cannot be run here; null when it can. */
export function whyNoCompose(): string | null {
  if (!answers('docker', ['compose', 'version']) && !answers('docker-compose', ['version']))
    return 'there is no Compose'
  if (!answers('docker', ['network', 'inspect', 'bridge']))
    return 'the engine has no bridge network'
  return whyNot([...bases, 'postgres:18', 'nats:2.15-alpine'])
}
