/**
 * The one place that creates streams, consumers and buckets. The generation, kept in Postgres, is
 * raised before any is created. If the store is lost, everything is made again with a higher
 * generation; whoever finds streams missing waits for the owner of this module to do so.
 */
import { NatsError } from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { NatsBus } from './connect.ts'
import { consumerConfigs, streamConfigs, type TopologySettings } from './stream-configs.ts'
import { streams } from './streams.ts'

/**
 * Makes what is missing; true when a stream was. `raiseGeneration` reserves the next generation in
 * Postgres and is called only if a stream has to be made. `lookAtConsumers` false: they are looked
 * at only where a stream was missing.
 */
export async function ensureTopology(
  bus: NatsBus,
  settings: TopologySettings,
  raiseGeneration: () => Promise<number>,
  lookAtConsumers = true,
): Promise<boolean> {
  const manager = await bus.manager()
  const have = new Set<string>()
  for await (const name of manager.streams.names()) have.add(name)
  const missing: string[] = Object.values(streams).filter((name) => !have.has(name))
  if (missing.length) {
    const generation = await raiseGeneration()
    for (const config of streamConfigs(generation, settings)) {
      if (!missing.includes(config.name)) continue
      await manager.streams.add(config).catch(ignoreExisting)
    }
  }
  if (lookAtConsumers || missing.length) await ensureConsumers(bus)
  return missing.length > 0
}

async function ensureConsumers(bus: NatsBus): Promise<void> {
  const manager = await bus.manager()
  for (const stream of [streams.work, streams.reports]) {
    const have = new Set<string>()
    for await (const { name } of manager.consumers.list(stream)) have.add(name)
    for (const { stream: of, config } of consumerConfigs)
      if (of === stream && !have.has(config.durable_name))
        await manager.consumers.add(stream, config)
  }
}

/** What can be changed of a stream that is there. Its subjects and its generation stay. */
const changeable = [
  'max_age',
  'num_replicas',
  'max_msgs_per_subject',
  'discard_new_per_subject',
] as const

/**
 * Brings the settings of streams and consumers that are there up to date: at the start of whoever
 * owns them, after a deploy or a change of a setting.
 */
export async function applySettings(bus: NatsBus, settings: TopologySettings): Promise<void> {
  const manager = await bus.manager()
  for (const wanted of streamConfigs(0, settings)) {
    const { config } = await manager.streams.info(wanted.name)
    const changes = changeable.filter(
      (key) => wanted[key] !== undefined && wanted[key] !== config[key],
    )
    if (changes.length)
      await manager.streams.update(wanted.name, {
        ...config,
        ...Object.fromEntries(changes.map((key) => [key, wanted[key]])),
      })
  }
  for (const { stream, config } of consumerConfigs)
    await manager.consumers.update(stream, config.durable_name, config)
}

/**
 * A bucket that has gone back (a power failure, an older copy) may give epochs out again: it is
 * made anew, above all of them.
 */
export async function remakeOwnership(
  bus: NatsBus,
  settings: TopologySettings,
  raiseGeneration: () => Promise<number>,
): Promise<void> {
  await (await bus.manager()).streams.delete(streams.ownership)
  await ensureTopology(bus, settings, raiseGeneration)
}

/** Another process made it at the same moment. */
function ignoreExisting(err: unknown): void {
  if (!(err instanceof NatsError && err.api_error?.err_code === 10058)) throw err
}

/** Whether every stream is there; quick enough for a readiness check. */
export async function topologyReady(bus: NatsBus): Promise<boolean> {
  const manager = await bus.manager()
  const names = new Set<string>()
  for await (const name of manager.streams.names()) names.add(name)
  return Object.values(streams).every((name) => names.has(name))
}

/** Waits until the streams are there; says so every few seconds. Throws when the signal aborts. */
export async function waitForTopology(
  bus: NatsBus,
  log: Logger,
  signal?: AbortSignal,
): Promise<void> {
  for (let tries = 0; ; tries++) {
    signal?.throwIfAborted()
    if (await topologyReady(bus).catch(() => false)) return
    if (tries % 20 === 10) log.info('waiting for the streams to be made by the status service')
    await sleep(250, signal)
  }
}

/** The generation a stream was made in; stream ids and epochs carry it. */
export async function generationOf(bus: NatsBus, stream: string): Promise<number> {
  const manager = await bus.manager()
  const info = await manager.streams.info(stream)
  return Number(info.config.metadata?.['generation'] ?? 0)
}
