/**
 * Submissions: POSTs to the whole system as `npm start` runs it, until the simulator has accepted
 * every create. Beside it, in the same run, what only accepts a request, behind the same front: the
 * floor, which is one INSERT and one message, and a job of pg-boss and of BullMQ that nobody takes.
 * CPU is that of all processes but the simulator and the one that asks.
 */
import { join } from 'node:path'
import pg from 'pg'
import { sleep } from '#libs/runtime/clock.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { System } from '../../test/support/system.ts'
import { present } from '../lib/contestants.ts'
import { endsWithUs } from '../../test/support/ending.ts'
import { Lab } from '../lib/lab.ts'
import { table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree, Worker } from '../lib/processes.ts'
import { startRedis } from '../lib/redis.ts'

interface Rate {
  acceptedPerSecond: number
  /** CPU ms a submission, by process. */
  cpuMs: Record<string, number>
}

export interface Submitting {
  videos: number
  ours: Rate & { submittedPerSecond: number }
  floor: Rate
  /** Jobs of these queues; those that could be measured here. */
  queues: Partial<Record<Queue, Rate>>
}

const queues = ['pg-boss', 'bullmq'] as const
type Queue = (typeof queues)[number]

const atOnce = 50
const sum = (cpu: Record<string, number>) => Object.values(cpu).reduce((a, b) => a + b, 0)

const post = (url: string, headers: Record<string, string>) => async () => {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: '{"prompt":"a lighthouse at dusk"}',
  })
  if (response.status !== 202) throw new Error(`${response.status} ${await response.text()}`)
  await response.arrayBuffer()
}

/** Asks so many times; how many a second. */
async function load(count: number, ask: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  await eachLimited(Array.from({ length: count }), atOnce, ask)
  return count / ((performance.now() - begun) / 1000)
}

async function ours(videos: number, say: Context['say']): Promise<Submitting['ours']> {
  say('starting everything')
  await using system = await endsWithUs(
    async () => new System({ RATE_LIMIT_PER_MINUTE: '10000000', LOG_LEVEL: 'warn' }),
  )
  await system.start()
  await system.simulate({ tier: 'off', minSeconds: 600, maxSeconds: 600 })
  const { gatewayUrl, apiKey, databaseUrl, processes } = system.dev
  const client = new pg.Client({ connectionString: databaseUrl })
  client.on('error', () => {})
  await client.connect()
  const submitted = async () =>
    Number(
      (await client.query('SELECT count(*) AS n FROM "SceneVideo" WHERE "taskId" IS NOT NULL'))
        .rows[0].n,
    )
  const ask = post(`${gatewayUrl}${system.generatePath()}`, { authorization: `Bearer ${apiKey}` })
  await load(200, ask)
  await sleep(5_000)
  const measured = processes.filter(({ name }) => name !== 'simulator')
  const before = measured.map(({ pid }) => cpuOfTree(pid))
  const begun = performance.now()
  say(`${videos} submissions`)
  const acceptedPerSecond = await load(videos, ask)
  while ((await submitted()) < videos + 200) await sleep(100)
  const took = (performance.now() - begun) / 1000
  await sleep(500)
  const cpuMs = Object.fromEntries(
    measured.map(({ name, pid }, i) => [name, (cpuOfTree(pid) - before[i]!) / videos]),
  )
  await client.end()
  return { acceptedPerSecond, submittedPerSecond: videos / took, cpuMs }
}

async function accepting(who: 'floor' | Queue, videos: number): Promise<Rate> {
  await using lab = await Lab.open()
  await using servers = new AsyncDisposableStack()
  const redis = who === 'bullmq' && servers.use(await startRedis(join(lab.dir, 'redis')))
  const port = String(await freePort())
  const env = { ...lab.env({ FRONT_PORT: port }), REDIS_PORT: String(redis ? redis.port : 0) }
  const file = who === 'floor' ? 'submit-floor.ts' : `../peers/submit-${who}.ts`
  await using worker = await new Worker(file, env).ready()
  const ask = post(`http://127.0.0.1:${port}/`, {})
  await load(200, ask)
  const { postgres, nats } = lab
  const pids = {
    front: worker.pid,
    ...(redis ? { redis: redis.pid } : { postgres: postgres.pid }),
    ...(who === 'floor' ? { nats: nats.pid } : {}),
  }
  const before = Object.entries(pids).map(([name, pid]) => [name, pid, cpuOfTree(pid)] as const)
  const acceptedPerSecond = await load(videos, ask)
  const cpuMs = Object.fromEntries(
    before.map(([name, pid, ms]) => [name, (cpuOfTree(pid) - ms) / videos]),
  )
  return { acceptedPerSecond, cpuMs }
}

async function beside(
  videos: number,
  { say, warn }: Context,
): Promise<Pick<Submitting, 'floor' | 'queues'>> {
  say('the floor')
  const floor = await accepting('floor', videos)
  const measured: Submitting['queues'] = {}
  const here = present(warn, queues)
  for (const who of queues.filter((one) => here.includes(one))) {
    say(who)
    measured[who] = await accepting(who, videos)
  }
  return { floor, queues: measured }
}

const videosOf = ({ quick }: Pick<Context, 'quick'>) => (quick ? 500 : 3_000)

export const submitPart = part<Submitting>({
  name: 'submit',
  title: 'Submitting',
  seconds: (context) => 60 + videosOf(context) / 50,
  async run(context) {
    const videos = videosOf(context)
    const others = await beside(videos, context)
    return { videos, ours: await ours(videos, context.say), ...others }
  },
  words: ({ videos, ours: own, floor, queues: measured }) =>
    `${videos} submissions, ${atOnce} at once.\n\n${table(
      ['', 'accepted/s', 'submitted/s', 'CPU ms each', 'of which'],
      [
        ['ours', own.acceptedPerSecond, own.submittedPerSecond, own.cpuMs] as const,
        ...Object.entries({ floor, ...measured }).map(
          ([who, { acceptedPerSecond, cpuMs }]) => [who, acceptedPerSecond, null, cpuMs] as const,
        ),
      ].map(([who, accepted, submittedPerSecond, cpuMs]) => [
        who,
        text(accepted),
        submittedPerSecond === null ? '–' : text(submittedPerSecond),
        text(sum(cpuMs), 2),
        Object.entries(cpuMs)
          .map(([name, ms]) => `${name} ${text(ms, 2)}`)
          .join(', '),
      ]),
    )}`,
})
