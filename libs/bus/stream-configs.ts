/**
 * Streams, consumers and buckets, as data.
 *
 * OUTBOX takes events under `video.out.<event>.<id>`, where an expected last sequence per video
 * keeps each version stored once; VIDEO sources it under the public subjects and republishes for
 * core subscribers. WORK and REPORTS are work queues. OWNERSHIP is a KV bucket: sessions and owner
 * records.
 *
 * KV revisions are epochs, so they may never restart: a bucket is created with `first_seq` =
 * generation · 2³². OUTBOX counts in the same way, so that Postgres can tell from a sequence it
 * remembers whether NATS still has that event.
 */
import { nanos, type ConsumerConfig, type StreamConfig } from 'nats'
import { eventNames } from '#libs/scene-video/scene-video.ts'
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

export const consumerConfigs: {
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
