/**
 * Growth: one poller with more and more videos. Is a video as cheap among many as among few? How long to rebuild everything from Postgres, and
 * to hand everything over? Polls are at most 4,000 a second, so that what differs is the number of videos; up to 20,000 the interval is the usual one.
 */
import { connect } from 'nats'
import { sleep } from '#libs/runtime/clock.ts'
import { Lab } from '../lib/lab.ts'
import { cpuOfTree } from '../lib/processes.ts'
import { latenessBelow, latenessBuckets, polls, startPoller, untilOwned } from '../lib/ours.ts'

export interface GrowthRow {
  videos: number
  intervalMs: number
  rebuildMs: number
  rebuildCpu: Record<string, number>
  heapPerVideo: number
  rssPerVideo: number
  rssMb: number
  cpuUsPerPoll: number
  pollsPerSecond: number
  latenessP50Below: number
  latenessP99Below: number
  loopP99: number
  sessionWritesPerSecond: number
  handOverMs: number
}

export async function growth({ counts, seconds, say }: { counts: number[]; seconds: number; say: (line: string) => void }): Promise<GrowthRow[]> {
  const rows: GrowthRow[] = []
  for (const videos of counts) rows.push(await one(videos, seconds, (line) => say(`${videos} videos: ${line}`)))
  return rows
}

async function one(videos: number, seconds: number, say: (line: string) => void): Promise<GrowthRow> {
  await using lab = await Lab.open()
  await using stack = new AsyncDisposableStack()
  const intervalMs = Math.max(5_000, Math.round(videos / 4))
  const env = { POLL_INTERVAL_MS: String(intervalMs) }
  say('inserting')
  for (let done = 0; done < videos; done += 10_000) await lab.addVideos({ count: Math.min(10_000, videos - done), endFrom: 7_200, endTo: 7_200, step: 100 })
  const status = await lab.service('status')
  stack.use(status)
  const poller = await startPoller(lab, 'poller-1', env)
  stack.use(poller.worker)
  const empty = await poller.worker.vitals()
  const spent = async () => ({ ...(await lab.servers()), pollerMs: cpuOfTree(poller.worker.pid), statusMs: cpuOfTree(status.pid) })
  const before = await spent()
  const rebuildFrom = performance.now()
  stack.use(await lab.service('reconciler'))
  await untilOwned([poller], videos, say)
  const rebuildMs = performance.now() - rebuildFrom
  const after = await spent()
  const rebuildCpu = { poller: after.pollerMs - before.pollerMs, status: after.statusMs - before.statusMs, postgres: after.postgresMs - before.postgresMs, nats: after.natsMs - before.natsMs }
  say(JSON.stringify({ rebuildMs, rebuildCpu }))
  say('settling')
  await sleep(intervalMs + 3_000)
  await poller.worker.vitals()
  const nc = await connect({ servers: lab.nats.url })
  let sessionWrites = 0
  nc.subscribe('$KV.OWNERSHIP.session.*', { callback: () => sessionWrites++ })
  await nc.flush()
  const [late, cpu, count] = [await latenessBuckets(poller), await poller.worker.ask<number>('cpu'), await polls(poller)]
  say(`measuring for ${seconds} s`)
  await sleep(seconds * 1000)
  const [lateAfter, cpuAfter, countAfter] = [await latenessBuckets(poller), await poller.worker.ask<number>('cpu'), await polls(poller)]
  const writes = sessionWrites
  const full = await poller.worker.vitals()
  await nc.close()

  say('handing over')
  const second = await startPoller(lab, 'poller-2', { ...env, SESSION_TTL_MS: '6000' })
  stack.use(second.worker)
  const handOverFrom = performance.now()
  const stopped = poller.worker[Symbol.asyncDispose]()
  await untilOwned([second], videos, say)
  const handOverMs = performance.now() - handOverFrom
  await stopped
  return {
    videos, intervalMs, rebuildMs, rebuildCpu, handOverMs,
    heapPerVideo: (full.heapUsed - empty.heapUsed) / videos, rssPerVideo: (full.rss - empty.rss) / videos, rssMb: full.rss / 2 ** 20,
    cpuUsPerPoll: ((cpuAfter - cpu) * 1000) / (countAfter - count), pollsPerSecond: (countAfter - count) / seconds,
    latenessP50Below: latenessBelow(0.5, late, lateAfter), latenessP99Below: latenessBelow(0.99, late, lateAfter),
    loopP99: full.loopP99, sessionWritesPerSecond: writes / seconds,
  }
}

if (import.meta.main) console.log(await growth({ counts: process.argv.slice(2).map(Number), seconds: 15, say: console.log }))
