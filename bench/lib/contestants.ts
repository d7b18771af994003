/**
 * Who does the same work: our services, the original design, and what a user would pick instead.
 * Each is started alone, with servers of its own.
 */
import { existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect } from 'nats'
import pg from 'pg'
import type { Lab } from './lab.ts'
import { latenessBelow, latenessBuckets, openSubmitter, startPoller, type Poller } from './ours.ts'
import { Worker } from './processes.ts'
import { batchPath } from './tasks.ts'
import { hasRedis, startRedis } from './redis.ts'

/** `reelkeeper-batch`: ours, where the provider can be asked for up to 100 tasks by one query. */
export const contestants = [
  'reelkeeper',
  'reelkeeper-batch',
  'original',
  'bullmq',
  'pg-boss',
  'graphile-worker',
] as const
export type Contestant = (typeof contestants)[number]

/** One contestant at work: what a measurement needs of it. */
export interface Running extends AsyncDisposable {
  /** Its processes, those that poll first. */
  workers: Worker[]
  /** Pids, by name. */
  servers: Record<string, number>
  load(tasks: string[]): Promise<void>
  /** Forgets how late polls were until now. */
  resetLateness(): Promise<unknown>
  /** In ms; ours is told by the bounds of its histogram's buckets. */
  lateness(): Promise<{ p50: number; p99: number }>
  /** Calls back with the task of each video whose end a subscriber is told of. */
  onEnd(listener: (taskId: string) => void): Promise<void>
}

/** Those that can run here; the rest is said to be left out. */
export function present(
  say: (line: string) => void,
  wanted: readonly Contestant[] = contestants,
): Contestant[] {
  const dir = fileURLToPath(new URL('../peers', import.meta.url))
  if (!existsSync(`${dir}/node_modules`))
    spawnSync('npm', ['ci', '--no-fund', '--no-audit'], { cwd: dir, stdio: 'ignore' })
  if (!existsSync(`${dir}/node_modules`))
    say('the peers could not be installed (npm ci in bench/peers): left out')
  if (!hasRedis()) say('redis-server is not installed: BullMQ is left out')
  return wanted.filter(
    (one) =>
      isOurs(one) ||
      one === 'original' ||
      (existsSync(`${dir}/node_modules`) && (one !== 'bullmq' || hasRedis())),
  )
}

/** With so many processes that poll. */
export const startContestant = (lab: Lab, contestant: Contestant, pollers = 1): Promise<Running> =>
  isOurs(contestant)
    ? ours(lab, pollers, contestant === 'reelkeeper-batch' ? { TOAPIS_BATCH_PATH: batchPath } : {})
    : peer(lab, contestant, pollers)

const isOurs = (contestant: Contestant) => contestant.startsWith('reelkeeper')

async function ours(lab: Lab, count: number, env: Record<string, string>): Promise<Running> {
  await using starting = new AsyncDisposableStack()
  const status = starting.use(await lab.service('status'))
  const pollers: Poller[] = []
  for (let n = 1; n <= count; n++) {
    const poller = await startPoller(lab, `poller-${n}`, env)
    starting.use(poller.worker)
    pollers.push(poller)
  }
  const workers = [
    ...pollers.map((poller) => poller.worker),
    status,
    starting.use(await lab.service('reconciler')),
  ]
  const submitter = starting.use(await openSubmitter(lab))
  const stack = starting.move()
  let before = new Map<number, number>()
  return {
    workers,
    servers: { postgres: lab.postgres.pid, nats: lab.nats.pid },
    load: (tasks) => submitter.submit(tasks),
    async resetLateness() {
      before = await latenessBuckets(pollers[0]!)
    },
    async lateness() {
      const now = await latenessBuckets(pollers[0]!)
      return { p50: latenessBelow(0.5, before, now), p99: latenessBelow(0.99, before, now) }
    },
    async onEnd(listener) {
      const nc = await connect({ servers: lab.nats.url })
      stack.defer(() => nc.close())
      nc.subscribe('video.completed', {
        callback: (_, message) => listener(message.json<{ taskId: string }>().taskId),
      })
      await nc.flush()
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function peer(lab: Lab, contestant: Contestant, count: number): Promise<Running> {
  await using starting = new AsyncDisposableStack()
  const servers: Record<string, number> = { postgres: lab.postgres.pid }
  const env: Record<string, string> = {
    DATABASE_URL: lab.postgres.url,
    PROVIDER_URL: lab.providerUrl,
    INTERVAL_MS: '5000',
  }
  await lab.pool.query(
    'CREATE TABLE bench_task (id text PRIMARY KEY, status text, progress int, updated_at timestamptz)',
  )
  if (contestant === 'bullmq') {
    const redis = starting.use(await startRedis(join(lab.dir, 'redis')))
    servers['redis'] = redis.pid
    env['REDIS_PORT'] = String(redis.port)
  }
  const file = contestant === 'original' ? 'original.ts' : `../peers/${contestant}.ts`
  const workers: Worker[] = []
  for (let n = 1; n <= count; n++)
    workers.push(await starting.use(new Worker(file, env, ['worker'])).ready())
  const stack = starting.move()
  return {
    workers,
    servers,
    async load(tasks) {
      await lab.pool.query('INSERT INTO bench_task SELECT id FROM unnest($1::text[]) AS id', [
        tasks,
      ])
      if (contestant === 'original') await lab.addVideos(tasks)
      await workers[0]!.ask('load', tasks)
    },
    resetLateness: () => workers[0]!.ask('lateness'),
    lateness: () => workers[0]!.ask<{ p50: number; p99: number }>('lateness'),
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
