/**
 * The same work, done in different ways: so many videos in flight, each polled every 5 s until the provider says done, what changed recorded in
 * Postgres, a subscriber told of each end. Each contestant alone, with servers of its own, for the same time. A video takes five minutes and tells its
 * progress in steps of 10 %; the videos are of all ages, so that as many end in a second as would where as many come.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'nats'
import pg from 'pg'
import { freePort } from '#libs/local/ports.ts'
import { spawnServer, type LocalServer } from '#libs/local/server-process.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { Sample } from '../lib/answering.ts'
import { Lab, taskOf, type Tasks } from '../lib/lab.ts'
import { latenessBelow, latenessBuckets, polls, startPoller, untilOwned } from '../lib/ours.ts'
import { cpuOfTree, rssOf, Worker } from '../lib/processes.ts'
import { endOf } from '../lib/provider.ts'

export const contestants = ['reelkeeper', 'original', 'bullmq', 'pg-boss', 'graphile-worker'] as const
export type Contestant = (typeof contestants)[number]

export interface SameWorkRow {
  contestant: Contestant
  videos: number
  polls: number
  /** Of the polls that should have been made. */
  made: number
  cpuUsPerPoll: number
  /** Ours: the poller's part of it. */
  ofIt?: Record<string, number>
  serverUsPerPoll: number
  rssPerVideo: number
  latenessP50: number
  latenessP99: number
  toldP50: number
  toldP99: number
  told: number
  rows: number
  transactions: number
}

/** One contestant at work: what the measurement needs of it. */
interface Running extends AsyncDisposable {
  workers: Worker[]
  servers: { pid: number }[]
  load(tasks: Tasks): Promise<void>
  polls(): Promise<number>
  resetLateness(): Promise<unknown>
  lateness(): Promise<{ p50: number; p99: number }>
  onEnd(listener: (taskId: string) => void): Promise<void>
}

const file = (contestant: Contestant) => (contestant === 'original' ? 'original.ts' : `../peers/${contestant}.ts`)

const lifeSeconds = 300

export async function sameWork({ contestant, videos, seconds, say }: { contestant: Contestant; videos: number; seconds: number; say: (line: string) => void }): Promise<SameWorkRow> {
  await using lab = await Lab.open()
  await using running = contestant === 'reelkeeper' ? await ours(lab, say) : await peer(lab, contestant)
  const rssBefore = running.workers.reduce((sum, worker) => sum + rssOf(worker.pid), 0)
  const told = new Sample()
  await running.onEnd((id) => told.add(Date.now() - endOf(id)))
  const settleSeconds = 20 + videos / 500
  say('loading')
  await running.load({ count: videos, endFrom: settleSeconds, endTo: settleSeconds + lifeSeconds, step: 10 })
  await sleep(10_000) // first polls, warm code
  await running.resetLateness()
  const cpu = (pids: { pid: number }[]) => pids.reduce((sum, { pid }) => sum + cpuOfTree(pid), 0)
  const read = async () => ({ own: cpu(running.workers), each: running.workers.map((one) => cpuOfTree(one.pid)), servers: cpu(running.servers), polls: await running.polls(), ...(await lab.servers()) })
  const before = await read()
  const from = performance.now()
  for (let left = seconds; left > 0; left -= 5) {
    say(`measuring, ${left} s left`)
    await sleep(Math.min(5, left) * 1000)
  }
  const after = await read()
  const took = performance.now() - from
  const count = after.polls - before.polls
  const late = await running.lateness()
  const ends = told.take()
  const inFlight = videos - ends.count / 2
  return {
    contestant, videos, polls: count, made: count / ((inFlight * took) / 5_000), rssPerVideo: (running.workers.reduce((sum, worker) => sum + rssOf(worker.pid), 0) - rssBefore) / videos,
    ofIt: Object.fromEntries(after.each.map((ms, i) => [running.workers[i]!.name, ((ms - before.each[i]!) * 1000) / count])),
    cpuUsPerPoll: ((after.own - before.own) * 1000) / count, serverUsPerPoll: ((after.servers - before.servers) * 1000) / count,
    latenessP50: late.p50, latenessP99: late.p99, told: ends.count, toldP50: ends.p50, toldP99: ends.p99,
    rows: after.rows - before.rows, transactions: after.transactions - before.transactions,
  }
}

async function ours(lab: Lab, say: (line: string) => void): Promise<Running> {
  const stack = new AsyncDisposableStack()
  const status = await lab.service('status')
  const poller = await startPoller(lab, 'poller-1')
  stack.use(status)
  stack.use(poller.worker)
  const workers = [status, poller.worker]
  let buckets = new Map<number, number>()
  return {
    workers, servers: [lab.postgres, lab.nats],
    async load(tasks) {
      for (let done = 0; done < tasks.count; done += 10_000) await lab.addVideos({ ...tasks, count: Math.min(10_000, tasks.count - done) })
      const reconciler = await lab.service('reconciler')
      stack.use(reconciler)
      workers.push(reconciler)
      await untilOwned([poller], tasks.count * 0.98, say)
    },
    polls: () => polls(poller),
    async resetLateness() {
      buckets = await latenessBuckets(poller)
    },
    async lateness() {
      const now = await latenessBuckets(poller)
      return { p50: latenessBelow(0.5, buckets, now), p99: latenessBelow(0.99, buckets, now) }
    },
    async onEnd(listener) {
      const nc = await connect({ servers: lab.nats.url })
      stack.defer(() => nc.close())
      nc.subscribe('video.completed', { callback: (_, message) => listener(message.json<{ taskId: string }>().taskId) })
      await nc.flush()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function peer(lab: Lab, contestant: Contestant): Promise<Running> {
  await using building = new AsyncDisposableStack()
  const servers: { pid: number }[] = [lab.postgres]
  const env: Record<string, string> = { DATABASE_URL: lab.postgres.url, PROVIDER_URL: lab.providerUrl, INTERVAL_MS: '5000' }
  await lab.pool.query('CREATE TABLE bench_task (id text PRIMARY KEY, status text, progress int, updated_at timestamptz)')
  if (contestant === 'bullmq') {
    const redis = await startRedis(join(lab.dir, 'redis'))
    building.use(redis)
    servers.push(redis)
    env['REDIS_PORT'] = String(redis.port)
  }
  const worker = new Worker(file(contestant), env)
  building.use(worker)
  await worker.ready()
  const stack = building.move()
  return {
    workers: [worker], servers,
    async load(tasks) {
      const now = Date.now()
      const ids = Array.from({ length: tasks.count }, (_, n) => taskOf(tasks, now, n))
      await lab.pool.query('INSERT INTO bench_task SELECT id FROM unnest($1::text[]) AS id', [ids])
      if (contestant === 'original') await lab.addVideosFor(ids)
      await worker.ask('load', ids)
    },
    polls: () => worker.ask<number>('polls'),
    resetLateness: () => worker.ask('lateness'),
    lateness: () => worker.ask<{ p50: number; p99: number }>('lateness'),
    async onEnd(listener) {
      const client = new pg.Client({ connectionString: lab.postgres.url })
      client.on('error', () => {}) // it ends with the server
      await client.connect()
      stack.defer(() => client.end())
      client.on('notification', ({ payload }) => payload && listener(payload))
      await client.query('LISTEN bench_ended')
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

/** As durable as its documentation advises for queues: an append-only file, synced every second. */
async function startRedis(dir: string): Promise<LocalServer> {
  mkdirSync(dir)
  const port = await freePort()
  const server = spawnServer('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction'], { url: '', port, stopSignal: 'SIGTERM' })
  for (let i = 0; i < 200 && !server.output().includes('Ready to accept'); i++) await sleep(50)
  return server
}

if (import.meta.main) {
  const [, , contestant, videos, seconds] = process.argv
  console.log(await sameWork({ contestant: contestant as Contestant, videos: Number(videos), seconds: Number(seconds), say: console.log }))
}
