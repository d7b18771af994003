/**
 * Streams, consumers and buckets, as data. This is the one place that creates them.
 *
 * OUTBOX takes events under `video.out.<event>.<id>`, where an expected last sequence per video
 * keeps each version stored once; VIDEO sources it under the public subjects and republishes for
 * core subscribers. WORK and REPORTS are work queues. OWNERSHIP is a KV bucket: sessions and owner
 * records.
 *
 * KV revisions are epochs, so they may never restart: a bucket is created with `first_seq` =
 * generation · 2³², and the generation, kept in Postgres, is raised before a bucket is created. If
 * the store is lost, everything is made again with a higher generation; whoever finds streams
 * missing waits for the owner of this module to do so. OUTBOX counts in the same way, so that
 * Postgres can tell from a sequence it remembers whether NATS still has that event.
 */
import { nanos, NatsError, type ConsumerConfig, type StreamConfig } from 'nats'
import { eventNames } from '#libs/scene-video/scene-video.ts'
import { sleep } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { NatsBus } from './connect.ts'
import { ownershipBucket, streams } from './streams.ts'

const days = (n: number) => nanos(n * 24 * 3600 * 1000)
const seconds = (n: number) => nanos(n * 1000)

/** Where a generation begins to count. */
export const firstSequence = (generation: number): number => generation * 2 ** 32

/** Fields this client's types do not know pass through to the server. */
type Config = Partial<StreamConfig> & {
  name: string
  first_seq?: number
  allow_msg_ttl?: boolean
  metadata?: Record<string, string>
}

export interface TopologySettings {
  /** How long public events are kept. */
  eventDays: number
  /** Servers that hold each stream: 1, or 3 of a cluster. */
  replicas: number
}

export function streamConfigs(
  generation: number,
  { eventDays, replicas }: TopologySettings,
): Config[] {
  const metadata = { generation: String(generation) }
  const common = { storage: 'file', num_replicas: replicas, metadata, discard: 'old' } as const
  return [
    {
      ...common,
      name: streams.outbox,
      subjects: ['video.out.*.*'],
      retention: 'limits',
      max_age: days(eventDays),
      first_seq: firstSequence(generation),
    } as Config,
    {
      ...common,
      name: streams.video,
      retention: 'limits',
      max_age: days(eventDays),
      sources: [
        {
          name: streams.outbox,
          subject_transforms: eventNames.map((event) => ({
            src: `video.out.${event}.*`,
            dest: `video.${event}`,
          })),
        },
      ],
      republish: { src: 'video.*', dest: 'video.{{wildcard(1)}}' },
    } as unknown as Config,
    {
      ...common,
      name: streams.work,
      subjects: ['video.work.*.*'],
      retention: 'workqueue',
      max_msgs_per_subject: 1,
      discard: 'new',
      // rule: one message per video in a work queue
      discard_new_per_subject: true,
    } as Config,
    {
      ...common,
      name: streams.reports,
      subjects: ['video.report.*'],
      retention: 'workqueue',
    } as Config,
    {
      ...common,
      name: streams.dead,
      subjects: ['video.dead.*.*'],
      retention: 'limits',
      max_age: days(30),
      max_msgs_per_subject: 10,
    } as Config,
    {
      ...common,
      name: streams.ownership,
      subjects: [`$KV.${ownershipBucket}.>`],
      retention: 'limits',
      max_msgs_per_subject: 1,
      discard: 'new',
      allow_rollup_hdrs: true,
      deny_delete: true,
      allow_direct: false,
      allow_msg_ttl: true,
      // rule: revisions of a new bucket start above every epoch
      first_seq: firstSequence(generation),
    } as Config,
  ]
}

export const consumers = {
  submit: 'submit',
  settle: 'settle',
  pollers: 'pollers',
  status: 'status',
} as const

const consumerConfigs: {
  stream: string
  config: Partial<ConsumerConfig> & { durable_name: string }
}[] = [
  {
    stream: streams.work,
    config: workConsumer(consumers.submit, 'video.work.submit.*', 15, 20_000),
  },
  {
    stream: streams.work,
    config: workConsumer(consumers.settle, 'video.work.settle.*', 15, 20_000),
  },
  {
    stream: streams.work,
    config: workConsumer(consumers.pollers, 'video.work.poll.*', 10, 20_000),
  },
  { stream: streams.reports, config: workConsumer(consumers.status, 'video.report.*', 15, 5_000) },
]

function workConsumer(
  durable_name: string,
  filter_subject: string,
  ackWaitSeconds: number,
  max_ack_pending: number,
) {
  return {
    durable_name,
    filter_subject,
    ack_policy: 'explicit',
    ack_wait: seconds(ackWaitSeconds),
    max_ack_pending,
    max_deliver: -1,
  } as Partial<ConsumerConfig> & { durable_name: string }
}

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
