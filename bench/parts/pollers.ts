/**
 * More pollers for the same videos: does a poll cost the same, do they share evenly, what do their
 * leases cost, how long until all is claimed?
 */
import { sleep } from '#libs/runtime/clock.ts'
import { Lab } from '../lib/lab.ts'
import { table, text } from '../lib/numbers.ts'
import { leaseWrites, owned, startPoller, untilOwned } from '../lib/ours.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree } from '../lib/processes.ts'
import { endlessTasks } from '../lib/tasks.ts'

export interface PollersRow {
  pollers: number
  videos: number
  /** From the start of the reconciler until all are owned. */
  claimMs: number
  /** Of all pollers together; servers' and status' beside it. */
  cpuUsPerPoll: number
  restUsPerPoll: number
  pollsPerSecond: number
  leaseWritesPerSecond: number
  /** The largest share of one poller against the mean. */
  maxOverMean: number
}

async function one(
  pollers: number,
  { videos, seconds, evenOutMs }: ReturnType<typeof plan>,
  say: (line: string) => void,
): Promise<PollersRow> {
  await using lab = await Lab.open()
  await using stack = new AsyncDisposableStack()
  await lab.addVideos(endlessTasks(videos))
  const status = stack.use(await lab.service('status'))
  const all = await Promise.all(
    Array.from({ length: pollers }, (_, i) => startPoller(lab, `poller-${i + 1}`)),
  )
  for (const { worker } of all) stack.use(worker)
  const from = performance.now()
  stack.use(await lab.service('reconciler'))
  await untilOwned(all, videos, say)
  const claimMs = performance.now() - from
  say('evening out')
  await sleep(evenOutMs)
  const writes = await leaseWrites(lab)
  const read = async () => ({
    own: all.reduce((sum, { worker }) => sum + cpuOfTree(worker.pid), 0),
    rest: cpuOfTree(status.pid) + cpuOfTree(lab.postgres.pid) + cpuOfTree(lab.nats.pid),
    ...(await lab.counts()),
  })
  const before = await read()
  say(`measuring for ${seconds} s`)
  await sleep(seconds * 1000)
  const after = await read()
  const leaseWritesPerSecond = (await writes.stop()) / seconds
  const shares = await Promise.all(all.map(owned))
  const polls = after.calls - before.calls
  return {
    pollers,
    videos,
    claimMs,
    leaseWritesPerSecond,
    cpuUsPerPoll: ((after.own - before.own) * 1000) / polls,
    restUsPerPoll: ((after.rest - before.rest) * 1000) / polls,
    pollsPerSecond: polls / seconds,
    maxOverMean: (Math.max(...shares) * pollers) / shares.reduce((sum, share) => sum + share, 0),
  }
}

/** `evenOutMs`: in which pollers even out what they own; a few lives of their sessions. */
const plan = ({ quick }: Pick<Context, 'quick'>) =>
  quick
    ? { counts: [2], videos: 1_000, seconds: 5, evenOutMs: 5_000 }
    : { counts: [1, 2, 4, 8], videos: 8_000, seconds: 30, evenOutMs: 15_000 }

export const pollersPart = part<PollersRow[]>({
  name: 'pollers',
  title: 'Growth in pollers',
  seconds(context) {
    const { counts, seconds, evenOutMs } = plan(context)
    return counts.reduce((sum, pollers) => sum + seconds + evenOutMs / 1000 + 10 + pollers * 2, 0)
  },
  async run(context) {
    const planned = plan(context)
    const rows: PollersRow[] = []
    for (const pollers of planned.counts)
      rows.push(await one(pollers, planned, (line) => context.say(`${pollers} pollers: ${line}`)))
    return rows
  },
  words: (rows) =>
    table(
      [
        'pollers',
        'videos',
        'CPU µs/poll of all pollers',
        'of status and servers',
        'polls/s',
        'lease writes/s',
        'largest share ÷ mean',
        'claimed in s',
      ],
      rows.map((row) => [
        text(row.pollers),
        text(row.videos),
        text(row.cpuUsPerPoll),
        text(row.restUsPerPoll),
        text(row.pollsPerSecond),
        text(row.leaseWritesPerSecond, 2),
        text(row.maxOverMean, 3),
        text(row.claimMs / 1000, 1),
      ]),
    ),
})
