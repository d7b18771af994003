/**
 * What can go wrong, by name. Each goes on until its promise resolves, and leaves everything as it
 * found it.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crashPoints } from '#libs/runtime/crash-point.ts'
import { pause, until } from '../support/system.ts'
import type { Cluster } from './cluster.ts'
import { pollsSeen } from './polling.ts'
import { send } from './processes.ts'
import type { Proxy, Server } from './proxy.ts'

export interface Dice {
  between(low: number, high: number): number
  pick<T>(items: readonly T[]): T
}

/** What is thrown for a fault's length is cut to what is left of the time. */
export const withinMs = (dice: Dice, leftMs: number): Dice => ({
  ...dice,
  between: (low, high) => Math.min(dice.between(low, high), Math.max(low, leftMs)),
})

/** Tells what happened more exactly, where that is known only afterwards. */
export type Fault = (cluster: Cluster, dice: Dice) => Promise<void | string>

/** Ends it, and waits until its successor runs. */
export async function kill(
  cluster: Cluster,
  name: string,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<void> {
  const pid = cluster.pid(name)
  if (!cluster.signal(name, signal)) return
  await until(
    `${name} to be started again`,
    () => (cluster.pid(name) !== pid ? true : undefined),
    60_000,
  )
}

/** Stops a process, and its children (Postgres' backends), for a while. */
export async function freeze(cluster: Cluster, name: string, ms: number): Promise<void> {
  const pid = cluster.pid(name)
  const wake = cluster.stop([pid, ...childrenOf(pid)])
  await pause(ms)
  wake()
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}

/**
 * Nothing passes between a service and a server; then it all arrives late, or the connections are
 * reset.
 */
async function halfOpen(proxy: Proxy, ms: number, cut: boolean): Promise<void> {
  proxy.halfOpen()
  await pause(ms)
  proxy.heal(cut)
}

/**
 * Ended, and kept from starting until the returned function is called, which waits for its start.
 */
export async function end(
  cluster: Cluster,
  name: string,
  signal: NodeJS.Signals,
): Promise<() => Promise<void>> {
  const open = cluster.hold(name)
  const pid = cluster.pid(name)
  cluster.signal(name, signal)
  await until(`${name} to be gone`, () => !send(pid, 0) || undefined, 20_000)
  return async () => {
    open()
    await until(
      `${name} to be started again`,
      () => (cluster.pid(name) !== pid ? true : undefined),
      60_000,
    )
  }
}

/** Away for a while: ended, and started only then. */
export async function away(
  cluster: Cluster,
  server: Server,
  ms: number,
  meanwhile: () => void = () => {},
): Promise<void> {
  const begin = await end(cluster, server, 'SIGKILL')
  meanwhile()
  await pause(ms)
  await begin()
}

/** One process dies at that point; false when none came by in time. */
export async function crashAt(cluster: Cluster, point: string, withinMs: number): Promise<boolean> {
  const file = join(cluster.crashPoints, point)
  rmSync(`${file}.fired`, { force: true })
  writeFileSync(file, '')
  const fired = await until(point, () => existsSync(`${file}.fired`) || undefined, withinMs).catch(
    () => false,
  )
  rmSync(file, { force: true })
  return fired
}

const some = (cluster: Cluster, dice: Dice, ...kinds: string[]) =>
  dice.pick(
    cluster.services.filter(
      (name) => kinds.length === 0 || kinds.some((kind) => name.startsWith(kind)),
    ),
  )
const servers = ['nats', 'postgres'] as const

export const processFaults: Record<string, Fault> = {
  'kill -9': (cluster, dice) => kill(cluster, some(cluster, dice)),
  SIGTERM: (cluster, dice) => kill(cluster, some(cluster, dice), 'SIGTERM'),
  'freeze short': (cluster, dice) => freeze(cluster, some(cluster, dice), dice.between(500, 5_000)),
  'freeze past the lease': (cluster, dice) =>
    freeze(cluster, some(cluster, dice, 'poller', 'status', 'submit'), dice.between(7_000, 15_000)),
  'kill -9 the provider': async (cluster) => {
    await kill(cluster, 'simulator')
    await until('the provider to answer', () => pollsSeen(cluster).catch(() => undefined), 60_000)
  },
  'freeze the provider': (cluster, dice) => freeze(cluster, 'simulator', dice.between(500, 4_000)),
  'half-open connection': (cluster, dice) => {
    const name = some(cluster, dice)
    // not every service has to do with both servers
    const proxies = servers.flatMap((server) => cluster.proxy(name, server) ?? [])
    return halfOpen(dice.pick(proxies), dice.between(2_000, 60_000), dice.between(0, 1) < 0.5)
  },
  'crash point': async (cluster, dice) => {
    const point = dice.pick(crashPoints)
    return (await crashAt(cluster, point, 5_000))
      ? `crash point ${point}`
      : 'crash point nobody came by'
  },
}

export const serverFaults: Record<string, Fault> = {
  'kill -9 nats-server': (cluster) => kill(cluster, 'nats'),
  'kill -9 Postgres': (cluster) => kill(cluster, 'postgres'),
  'freeze nats-server': (cluster, dice) => freeze(cluster, 'nats', dice.between(1_000, 12_000)),
  'freeze Postgres': (cluster, dice) => freeze(cluster, 'postgres', dice.between(1_000, 20_000)),
  'nats-server away': (cluster, dice) => away(cluster, 'nats', dice.between(1_000, 20_000)),
  'Postgres away': (cluster, dice) => away(cluster, 'postgres', dice.between(1_000, 20_000)),
  'both restarted again and again': async (cluster, dice) => {
    for (let i = 0; i < 3; i++) {
      await Promise.all([kill(cluster, 'nats'), kill(cluster, 'postgres')])
      await pause(dice.between(5_000, 10_000))
    }
  },
}

/** The whole NATS store is gone. */
export const loseStore: Fault = (cluster) =>
  away(cluster, 'nats', 500, () =>
    rmSync(join(cluster.natsDir, 'data'), { recursive: true, force: true }),
  )

/** A directory moved out of the way and back: for a copy put in its place. */
export function replaceDirectory(dir: string, copy: string): void {
  rmSync(dir, { recursive: true, force: true })
  renameSync(copy, dir)
}
