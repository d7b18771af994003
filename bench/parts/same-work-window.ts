/**
 * One contestant of the same work, at one number of videos: loaded, settled, and measured for a
 * window.
 */
import { sleep } from '#libs/runtime/clock.ts'
import { startContestant, type Contestant } from '../lib/contestants.ts'
import { Lab } from '../lib/lab.ts'
import { Sample } from '../lib/numbers.ts'
import { cpuOfTree, rssOf } from '../lib/processes.ts'
import { parseTask, tasksOfAllAges } from '../lib/tasks.ts'

const intervalMs = 5_000
const lifeMs = 300_000
/** After so long Postgres has counted every row written before. */
export const rowsKnownAfterMs = 12_000
export interface SameWorkRow {
  contestant: Contestant
  videos: number
  run: number
  /** Calls counted by the provider, and their share of those that were due. */
  polls: number
  made: number
  changesPerPoll: number
  /** Microseconds of CPU, user and system. */
  cpuUsPerPoll: number
  serverUsPerPoll: number
  ofIt: Record<string, number>
  /**
   * Bytes above what its processes held before any video was loaded, the heap after a forced
   * collection; not what Postgres, NATS or Redis hold.
   */
  heapPerVideo: number
  rssPerVideo: number
  /** Milliseconds. */
  latenessP50: number
  latenessP99: number
  loopP99: number
  /**
   * Ends in the window, and how many of them a subscriber was told of, how long after the end at
   * the provider in ms.
   */
  ends: number
  told: number
  toldP50: number
  toldP99: number
  /** How long the window was. */
  seconds: number
  /** Written in Postgres; rows are not told where the time to settle was too short to know them. */
  rows: number | null
  transactions: number
}

/** Which run. */
interface Which {
  contestant: Contestant
  videos: number
  run: number
}

interface Memory {
  heap: number
  rss: number
  loopP99: number
}

type Reading = Awaited<ReturnType<Lab['counts']>> &
  Awaited<ReturnType<Lab['servers']>> & { at: number; own: number[]; servers: number[] }

export async function measure(
  { contestant, videos, run }: Which,
  { seconds, settleMs, step }: { seconds: number; settleMs: number; step: number },
  say: (line: string) => void,
): Promise<SameWorkRow> {
  await using lab = await Lab.open()
  await using running = await startContestant(lab, contestant)
  const memory = async () => {
    const vitals = await Promise.all(running.workers.map((worker) => worker.vitals()))
    return {
      heap: vitals.reduce((sum, one) => sum + one.heapUsed, 0),
      rss: running.workers.reduce((sum, { pid }) => sum + rssOf(pid), 0),
      loopP99: vitals[0]!.loopP99,
    }
  }
  const empty = await memory()
  let beganAt = Infinity
  const ends: { at: number; after: number }[] = []
  await running.onEnd((id) => {
    const at = beganAt + parseTask(id).endsAt
    ends.push({ at, after: Date.now() - at })
  })
  say('loading')
  await running.load(tasksOfAllAges({ count: videos, lifeMs, step }))
  await untilSeen(lab, videos, say)
  await memory() // the event loop's delay counts from here
  beganAt = await lab.begin()
  say('settling')
  await sleep(settleMs)

  await running.resetLateness()
  const read = async () => ({
    ...(await lab.counts()),
    ...(await lab.servers()),
    at: Date.now(),
    own: running.workers.map(({ pid }) => cpuOfTree(pid)),
    servers: Object.values(running.servers).map(cpuOfTree),
  })
  const before = await read()
  for (let left = seconds; left > 0; left -= 5) {
    say(`measuring, ${left} s left`)
    await sleep(Math.min(5, left) * 1000)
  }
  const after = await read()
  const late = await running.lateness()
  const full = await memory()
  say('waiting for the last to be told')
  await sleep(intervalMs * 1.2)

  return rowOf(
    { contestant, videos, run },
    { seconds, settleMs },
    {
      beganAt,
      before,
      after,
      late,
      empty,
      full,
      ends,
      workers: running.workers.map(({ name }) => name),
      servers: Object.keys(running.servers),
    },
  )
}

/** What was read before and after the window. */
interface Readings {
  beganAt: number
  before: Reading
  after: Reading
  late: { p50: number; p99: number }
  empty: Memory
  full: Memory
  ends: { at: number; after: number }[]
  workers: string[]
  servers: string[]
}

function rowOf(
  which: Which,
  { seconds, settleMs }: { seconds: number; settleMs: number },
  readings: Readings,
): SameWorkRow {
  const { videos } = which
  const { beganAt, before, after, late, empty, full, ends } = readings
  const polls = after.calls - before.calls
  const inFlight = videos * (1 - ((before.at + after.at) / 2 - beganAt) / lifeMs)
  const us = (now: number, then: number) => ((now - then) * 1000) / polls
  const own = readings.workers.map((name, i) => [name, us(after.own[i]!, before.own[i]!)] as const)
  const servers = readings.servers.map(
    (name, i) => [name, us(after.servers[i]!, before.servers[i]!)] as const,
  )
  const told = new Sample()
  for (const { at, after: ms } of ends) if (at >= before.at && at < after.at) told.add(ms)
  const { count, p50, p99 } = told.take()
  return {
    ...which,
    seconds,
    polls,
    made: polls / ((inFlight * (after.at - before.at)) / intervalMs),
    changesPerPoll: (after.changes - before.changes) / polls,
    cpuUsPerPoll: own.reduce((sum, [, one]) => sum + one, 0),
    serverUsPerPoll: servers.reduce((sum, [, one]) => sum + one, 0),
    ofIt: Object.fromEntries([...own, ...servers]),
    heapPerVideo: (full.heap - empty.heap) / videos,
    rssPerVideo: (full.rss - empty.rss) / videos,
    loopP99: full.loopP99,
    latenessP50: late.p50,
    latenessP99: late.p99,
    ends: Math.round((videos * (after.at - before.at)) / lifeMs),
    told: count,
    toldP50: p50,
    toldP99: p99,
    rows: settleMs < rowsKnownAfterMs ? null : after.rows - before.rows,
    transactions: after.transactions - before.transactions,
  }
}

/** @throws when not all are polled in a time in which they could be */
async function untilSeen(lab: Lab, videos: number, say: (line: string) => void): Promise<void> {
  const end = performance.now() + 60_000 + videos * 5
  for (;;) {
    const { seen } = await lab.counts()
    say(`${seen}/${videos} polled once`)
    if (seen >= videos) return
    if (performance.now() > end) throw new Error(`only ${seen} of ${videos} were ever polled`)
    await sleep(200)
  }
}
