/**
 * The limit of publishing: our outbox, from committed events to their acknowledgements by NATS,
 * against bare publishing of the same bodies and headers to the same kind of stream, turn by turn
 * in one run. Ours includes what makes an event stored once and in order (the newest of each video,
 * which status remembers, the expected sequence) and grouping by video; the statement that commits
 * events returns them, so nothing is read, and marking them published is left out: in status it is
 * one statement a batch. Both have 500 events on their way at once, one for each of 500 videos, as
 * status has when a batch is full.
 */
import { connect, createInbox, headers, type MsgHdrs, type NatsConnection } from 'nats'
import { connectBus } from '#libs/bus/connect.ts'
import { LastPublishedCache } from '#libs/outbox/last-published.ts'
import { publishEvents, type OutboxStore } from '#libs/outbox/outbox.ts'
import { streams } from '#libs/bus/streams.ts'
import { streamConfigs } from '#libs/bus/stream-configs.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import type { OwedEvent, VideoEvent } from '#libs/scene-video/messages.ts'
import { Lab } from '../lib/lab.ts'
import { median, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree } from '../lib/processes.ts'

const videos = 500
const versionsPerTurn = 10

export interface LimitOfEvents {
  /**
   * Events a second by the clock, and microseconds of CPU an event of the publisher and of NATS,
   * turn by turn.
   */
  ours: Turn[]
  bare: Turn[]
  /** Medians of ours ÷ bare, pair by pair. */
  rateShare: number
  publisherCpuRatio: number
  natsCpuRatio: number
}

interface Turn {
  perSecond: number
  publisherUs: number
  natsUs: number
}

const eventOf = (id: string, version: number): OwedEvent => {
  const at = new Date().toISOString()
  const body: VideoEvent = {
    id,
    userId: id,
    projectId: id,
    scriptId: id,
    sceneId: id,
    status: 'generating',
    phase: 'running',
    progress: version % 100,
    provider: 'toapis',
    model: 'bench',
    taskId: `t_${version}`,
    videoUrl: null,
    videoUrlExpiresAt: null,
    error: null,
    attempt: 1,
    version,
    createdAt: at,
    submittedAt: at,
    startedAt: at,
    completedAt: null,
    updatedAt: at,
    cancelRequested: false,
    deadlineAt: null,
  } as unknown as VideoEvent
  return { timelineId: BigInt(version), event: 'progress', at, body }
}

const eventHeaders = ({ at, body }: OwedEvent): MsgHdrs => {
  const head = headers()
  const fields = {
    'ce-specversion': '1.0',
    'ce-id': `${body.id}:${body.version}`,
    'ce-type': 'reelkeeper.video.progress.v1',
    'ce-source': '/reelkeeper',
    'ce-subject': body.id,
    'ce-time': at,
    'content-type': 'application/json',
    traceparent: `00-${body.id.replaceAll('-', '')}-${body.version.toString(16).padStart(16, '0')}-01`,
  }
  for (const [name, value] of Object.entries(fields)) head.set(name, value)
  return head
}

/**
 * OUTBOX and VIDEO once more under other names: the same storage, source, transformation and
 * republishing.
 */
async function makeBareStreams(nc: NatsConnection): Promise<void> {
  const manager = await nc.jetstreamManager()
  const other = (text: string) =>
    text
      .replaceAll('"OUTBOX"', '"BARE_OUT"')
      .replaceAll('"VIDEO"', '"BARE"')
      .replaceAll('video.', 'bare.')
  for (const config of streamConfigs(1, { eventDays: 7, replicas: 1 }))
    if (config.name === streams.outbox || config.name === streams.video)
      await manager.streams.add(JSON.parse(other(JSON.stringify(config))))
}

/** Publishes all at once and waits for every acknowledgement, by counting them. */
function barePublisher(nc: NatsConnection): (events: OwedEvent[]) => Promise<void> {
  const inbox = createInbox()
  let left = 0
  let done = () => {}
  nc.subscribe(inbox, { callback: () => --left === 0 && done() })
  return (events) =>
    new Promise((resolve) => {
      left = events.length
      done = resolve
      for (const event of events)
        nc.publish(`bare.out.progress.${event.body.id}`, JSON.stringify(event.body), {
          reply: inbox,
          headers: eventHeaders(event),
        })
    })
}

async function limitOfEvents({ quick, say }: Context): Promise<LimitOfEvents> {
  const pairs = quick ? 3 : 7
  await using lab = await Lab.open()
  await using stack = new AsyncDisposableStack()
  const bus = await connectBus({
    config: { NATS_URL: lab.nats.url },
    name: 'bench',
    log: createLogger('bench', 'silent'),
  })
  stack.defer(() => bus.drain())
  await ensureTopology(bus, { eventDays: 7, replicas: 1 }, async () => 1)
  const nc = await connect({ servers: lab.nats.url })
  stack.defer(() => nc.close())
  await makeBareStreams(nc)

  const ids = Array.from({ length: videos }, () => crypto.randomUUID())
  const store: OutboxStore = {
    owed: async () => [],
    eventsBetween: async () => [],
    markPublished: async () => {},
  }
  const newest = new LastPublishedCache(bus)
  const ours = (events: OwedEvent[]) => publishEvents(bus, store, events, newest)
  const bare = barePublisher(nc)
  const turn = async (
    publish: (events: OwedEvent[]) => Promise<unknown>,
    from: number,
  ): Promise<Turn> => {
    const batches = Array.from({ length: versionsPerTurn }, (_, i) =>
      ids.map((id) => eventOf(id, from + i)),
    )
    const count = videos * versionsPerTurn
    const [natsMs, cpu, begun] = [cpuOfTree(lab.nats.pid), process.cpuUsage(), performance.now()]
    for (const batch of batches) await publish(batch)
    const took = performance.now() - begun
    const { user, system } = process.cpuUsage(cpu)
    return {
      perSecond: (count * 1000) / took,
      publisherUs: (user + system) / count,
      natsUs: ((cpuOfTree(lab.nats.pid) - natsMs) * 1000) / count,
    }
  }
  const found: Pick<LimitOfEvents, 'ours' | 'bare'> = { ours: [], bare: [] }
  for (let i = -1; i < pairs; i++) {
    const from = 1 + (i + 1) * versionsPerTurn
    const pair = { ours: await turn(ours, from), bare: await turn(bare, from) }
    if (i < 0) continue // warm code
    found.ours.push(pair.ours)
    found.bare.push(pair.bare)
    say(
      `pair ${i + 1}/${pairs}: ours ${text(pair.ours.perSecond)}/s, bare ${text(pair.bare.perSecond)}/s`,
    )
  }
  const ratio = (of: keyof Turn) => median(found.ours.map((one, i) => one[of] / found.bare[i]![of]))
  return {
    ...found,
    rateShare: ratio('perSecond'),
    publisherCpuRatio: ratio('publisherUs'),
    natsCpuRatio: ratio('natsUs'),
  }
}

export const limitEventsPart = part<LimitOfEvents>({
  name: 'limit-events',
  title: 'The limit of publishing',
  run: limitOfEvents,
  seconds: ({ quick }) => 8 + (quick ? 3 : 7) * 2,
  words: ({ ours, bare, rateShare, publisherCpuRatio, natsCpuRatio }) =>
    `Events a second: ours ${text(median(ours.map((one) => one.perSecond)))}, bare ${text(median(bare.map((one) => one.perSecond)))}: ${text(rateShare * 100)} %. ` +
    `CPU an event: publisher ${text(median(ours.map((one) => one.publisherUs)))} µs (× ${text(publisherCpuRatio, 2)} of bare), NATS ${text(median(ours.map((one) => one.natsUs)))} µs (× ${text(natsCpuRatio, 2)}). Medians of ${ours.length} pairs.`,
})
