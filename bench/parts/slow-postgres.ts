/**
 * A slow Postgres: our services reach it through a link that delays every packet. Reports then wait
 * in NATS, on disk: does any process grow, are polls late, and how long after the link is fast
 * again is everything recorded and told as usual? Progress is told in steps of 2 %, so that more is
 * to be recorded than a slow Postgres takes.
 */
import { connect, type JetStreamManager } from 'nats'
import { streams } from '#libs/bus/streams.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { Lab } from '../lib/lab.ts'
import { table, text } from '../lib/numbers.ts'
import { latenessBelow, latenessBuckets, startPoller, untilOwned } from '../lib/ours.ts'
import { part, type Context } from '../lib/part.ts'
import { rssOf } from '../lib/processes.ts'
import { SlowLink } from '../lib/slow-link.ts'
import { tasksOfAllAges } from '../lib/tasks.ts'

interface Phase {
  name: 'before' | 'slow' | 'after'
  seconds: number
  /** Of the polls in this phase, in ms, below. */
  latenessP50Below: number
  latenessP99Below: number
  /** Messages in REPORTS, at most and at the end. */
  queuedMost: number
  queuedAtEnd: number
  /** By process: RSS in MB at most, heap in MB after a forced collection at the end. */
  rssMost: Record<string, number>
  heap: Record<string, number>
}

export interface SlowPostgres {
  videos: number
  delayMs: number
  phases: Phase[]
  /**
   * Seconds from the end of the delay until no more reports are queued than before it; null: not
   * within the time measured.
   */
  backAfterSeconds: number | null
}

const delayMs = 500
const lifeMs = 300_000

async function queued(manager: JetStreamManager): Promise<number> {
  return (await manager.streams.info(streams.reports)).state.messages
}

async function slowPostgres({ quick, say }: Context): Promise<SlowPostgres> {
  const { videos, seconds } = plan({ quick })
  await using lab = await Lab.open()
  await using stack = new AsyncDisposableStack()
  const link = stack.use(await SlowLink.to(lab.postgres.port))
  const database = {
    DATABASE_URL: lab.postgres.url.replace(`:${lab.postgres.port}/`, `:${link.port}/`),
  }
  await lab.addVideos(tasksOfAllAges({ count: videos, lifeMs, step: 2 }))
  const status = stack.use(await lab.service('status', database))
  const poller = await startPoller(lab, 'poller', database)
  stack.use(poller.worker)
  const reconciler = stack.use(await lab.service('reconciler', database))
  const workers = [poller.worker, status, reconciler]
  const nc = await connect({ servers: lab.nats.url })
  stack.defer(() => nc.close())
  const manager = await nc.jetstreamManager()
  await untilOwned([poller], videos, say)
  await lab.begin()
  await sleep(seconds * 1000)

  const watch = async (
    name: Phase['name'],
    until: (queue: number, second: number) => boolean,
  ): Promise<Phase> => {
    const late = await latenessBuckets(poller)
    const rssMost: Record<string, number> = {}
    let [second, queuedMost, queuedAtEnd] = [0, 0, 0]
    do {
      await sleep(1_000)
      second++
      queuedAtEnd = await queued(manager)
      queuedMost = Math.max(queuedMost, queuedAtEnd)
      for (const worker of workers)
        rssMost[worker.name] = Math.max(rssMost[worker.name] ?? 0, rssOf(worker.pid) / 2 ** 20)
      say(`${name}, ${second} s: ${queuedAtEnd} reports queued`)
    } while (!until(queuedAtEnd, second))
    const now = await latenessBuckets(poller)
    const heap = Object.fromEntries(
      await Promise.all(
        workers.map(
          async (worker) => [worker.name, (await worker.vitals()).heapUsed / 2 ** 20] as const,
        ),
      ),
    )
    return {
      name,
      seconds: second,
      latenessP50Below: latenessBelow(0.5, late, now),
      latenessP99Below: latenessBelow(0.99, late, now),
      queuedMost,
      queuedAtEnd,
      rssMost,
      heap,
    }
  }
  const before = await watch('before', (_, second) => second >= seconds)
  link.delayMs = delayMs
  const slow = await watch('slow', (_, second) => second >= 2 * seconds)
  link.delayMs = 0
  let backAfterSeconds: number | null = null
  const after = await watch('after', (queue, second) => {
    if (queue <= before.queuedMost) backAfterSeconds ??= second
    return backAfterSeconds === null ? second >= 4 * seconds : second >= backAfterSeconds + 5
  })
  return { videos, delayMs, phases: [before, slow, after], backAfterSeconds }
}

const plan = ({ quick }: Pick<Context, 'quick'>) =>
  quick ? { videos: 1_000, seconds: 5 } : { videos: 2_000, seconds: 30 }

export const slowPostgresPart = part<SlowPostgres>({
  name: 'slow-postgres',
  title: 'A slow Postgres',
  light: true,
  run: slowPostgres,
  seconds: (context) => 25 + plan(context).seconds * 4,
  words({ videos, delayMs, phases, backAfterSeconds }) {
    const lines = phases.map((phase) => [
      phase.name,
      text(phase.seconds),
      `${text(phase.latenessP50Below)} / ${text(phase.latenessP99Below)}`,
      text(phase.queuedMost),
      text(phase.queuedAtEnd),
      ...['poller', 'status', 'reconciler'].map(
        (name) => `${text(phase.heap[name], 1)} / ${text(phase.rssMost[name])}`,
      ),
    ])
    return (
      `${table(['phase', 's', 'late p50 / p99 below ms', 'reports queued at most', 'at the end', 'poller heap / RSS MB', 'status', 'reconciler'], lines)}\n\n` +
      `${text(videos)} videos, Postgres ${delayMs} ms further away in each direction. ${backAfterSeconds === null ? 'Not back to normal in the time measured.' : `No more reports queued than before ${backAfterSeconds} s after the delay had gone.`}`
    )
  },
})
