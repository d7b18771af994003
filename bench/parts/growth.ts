/**
 * Growth: one poller with more and more videos. Is a video as cheap among many as among few? How
 * long to rebuild everything from Postgres, and to hand everything over? Polls are at most 4,000 a
 * second, so that what differs is the number of videos; up to 20,000 the interval is the usual one.
 */
import { sleep } from '#libs/runtime/clock.ts'
import { Lab } from '../lib/lab.ts'
import { table, text } from '../lib/numbers.ts'
import {
  latenessBelow,
  latenessBuckets,
  leaseWrites,
  startPoller,
  untilOwned,
} from '../lib/ours.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree } from '../lib/processes.ts'
import { endlessTasks } from '../lib/tasks.ts'

export interface GrowthRow {
  videos: number
  intervalMs: number
  /** From the start of the reconciler until all are owned, with the CPU it took in ms. */
  rebuildMs: number
  rebuildCpu: Record<string, number>
  /** Bytes above an empty poller's, after a forced collection. */
  heapPerVideo: number
  rssPerVideo: number
  rssMb: number
  /** Of the poller alone. */
  cpuUsPerPoll: number
  pollsPerSecond: number
  latenessP50Below: number
  latenessP99Below: number
  loopP99: number
  leaseWritesPerSecond: number
  /** From the signal to the poller until another one owns all. */
  handOverMs: number
}

type Poller = Awaited<ReturnType<typeof startPoller>>

/** Milliseconds from the signal to one poller until the other owns all. */
async function handOver(
  from: Poller,
  to: Poller,
  videos: number,
  say: (line: string) => void,
): Promise<number> {
  const began = performance.now()
  const stopped = from.worker[Symbol.asyncDispose]()
  await untilOwned([to], videos, say)
  const ms = performance.now() - began
  await stopped
  return ms
}

async function one(
  videos: number,
  seconds: number,
  say: (line: string) => void,
): Promise<GrowthRow> {
  await using lab = await Lab.open()
  await using stack = new AsyncDisposableStack()
  const intervalMs = Math.max(5_000, Math.round(videos / 4))
  const env = { POLL_INTERVAL_MS: String(intervalMs) }
  say('inserting')
  await lab.addVideos(endlessTasks(videos))
  const status = await lab.service('status')
  stack.use(status)
  const poller = await startPoller(lab, 'poller-1', env)
  stack.use(poller.worker)
  const empty = await poller.worker.vitals()
  const spent = async () => ({
    ...(await lab.servers()),
    pollerMs: cpuOfTree(poller.worker.pid),
    statusMs: cpuOfTree(status.pid),
  })
  const before = await spent()
  const rebuildFrom = performance.now()
  stack.use(await lab.service('reconciler'))
  await untilOwned([poller], videos, say)
  const rebuildMs = performance.now() - rebuildFrom
  const after = await spent()
  const rebuildCpu = {
    poller: after.pollerMs - before.pollerMs,
    status: after.statusMs - before.statusMs,
    postgres: after.postgresMs - before.postgresMs,
    nats: after.natsMs - before.natsMs,
  }
  say('settling')
  await sleep(intervalMs + 3_000)
  await poller.worker.vitals() // the event loop's delay counts from here
  const writes = await leaseWrites(lab)
  const read = async () =>
    [
      await latenessBuckets(poller),
      await poller.worker.ask<number>('cpu'),
      (await lab.counts()).calls,
    ] as const
  const [late, cpu, calls] = await read()
  say(`measuring for ${seconds} s`)
  await sleep(seconds * 1000)
  const [lateAfter, cpuAfter, callsAfter] = await read()
  const leaseWritesPerSecond = (await writes.stop()) / seconds
  const full = await poller.worker.vitals()

  say('handing over')
  const second = await startPoller(lab, 'poller-2', { ...env, SESSION_TTL_MS: '6000' })
  stack.use(second.worker)
  const handOverMs = await handOver(poller, second, videos, say)
  return {
    videos,
    intervalMs,
    rebuildMs,
    rebuildCpu,
    handOverMs,
    leaseWritesPerSecond,
    heapPerVideo: (full.heapUsed - empty.heapUsed) / videos,
    rssPerVideo: (full.rss - empty.rss) / videos,
    rssMb: full.rss / 2 ** 20,
    cpuUsPerPoll: ((cpuAfter - cpu) * 1000) / (callsAfter - calls),
    pollsPerSecond: (callsAfter - calls) / seconds,
    latenessP50Below: latenessBelow(0.5, late, lateAfter),
    latenessP99Below: latenessBelow(0.99, late, lateAfter),
    loopP99: full.loopP99,
  }
}

const plan = ({ quick }: Pick<Context, 'quick'>) => ({
  counts: quick ? [1_000] : [1_000, 10_000, 100_000],
  seconds: quick ? 5 : 30,
})

export const growthPart = part<GrowthRow[]>({
  name: 'growth',
  title: 'Growth of one poller',
  seconds(context) {
    const { counts, seconds } = plan(context)
    return counts.reduce((sum, videos) => sum + seconds + 25 + videos / 700, 0)
  },
  async run(context) {
    const { counts, seconds } = plan(context)
    const rows: GrowthRow[] = []
    for (const videos of counts)
      rows.push(
        await one(videos, seconds, (line) => context.say(`${text(videos)} videos: ${line}`)),
      )
    return rows
  },
  words: (rows) =>
    table(
      [
        'videos',
        'interval s',
        'heap / RSS a video KB',
        'RSS MB',
        'CPU µs/poll',
        'polls/s',
        'late p50 / p99 below ms',
        'loop p99 ms',
        'lease writes/s',
        'rebuild s',
        'hand over s',
      ],
      rows.map((row) => [
        text(row.videos),
        text(row.intervalMs / 1000, 1),
        `${text(row.heapPerVideo / 1024, 1)} / ${text(row.rssPerVideo / 1024, 1)}`,
        text(row.rssMb),
        text(row.cpuUsPerPoll, 1),
        text(row.pollsPerSecond),
        `${text(row.latenessP50Below)} / ${text(row.latenessP99Below)}`,
        text(row.loopP99, 1),
        text(row.leaseWritesPerSecond, 2),
        text(row.rebuildMs / 1000, 1),
        text(row.handOverMs / 1000, 1),
      ]),
    ),
})
