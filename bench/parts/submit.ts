/**
 * Submissions: POSTs to the whole system as `npm start` runs it, until the simulator has accepted
 * every create, beside the floor in the same run: a POST that is one INSERT and one message. CPU is
 * that of all processes but the simulator and the one that asks.
 */
import pg from 'pg'
import { sleep } from '#libs/runtime/clock.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import { freePort } from '#services/dev/servers/ports.ts'
import { System } from '../../test/support/system.ts'
import { endsWithUs } from '../lib/ending.ts'
import { Lab } from '../lib/lab.ts'
import { table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree, Worker } from '../lib/processes.ts'

interface Rate {
  acceptedPerSecond: number
  /** CPU ms a submission, by process. */
  cpuMs: Record<string, number>
}

export interface Submitting {
  videos: number
  ours: Rate & { submittedPerSecond: number }
  floor: Rate
}

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

async function floor(videos: number, say: Context['say']): Promise<Rate> {
  say('the floor')
  await using lab = await Lab.open()
  const port = String(await freePort())
  await using worker = await new Worker('submit-floor.ts', lab.env({ FLOOR_PORT: port })).ready()
  const ask = post(`http://127.0.0.1:${port}/`, {})
  await load(200, ask)
  const pids = { front: worker.pid, postgres: lab.postgres.pid, nats: lab.nats.pid }
  const before = Object.entries(pids).map(([name, pid]) => [name, cpuOfTree(pid)] as const)
  const acceptedPerSecond = await load(videos, ask)
  const cpuMs = Object.fromEntries(
    before.map(([name, ms]) => [name, (cpuOfTree(pids[name as keyof typeof pids]) - ms) / videos]),
  )
  return { acceptedPerSecond, cpuMs }
}

const videosOf = ({ quick }: Pick<Context, 'quick'>) => (quick ? 500 : 3_000)

export const submitPart = part<Submitting>({
  name: 'submit',
  title: 'Submitting',
  seconds: (context) => 60 + videosOf(context) / 50,
  async run(context) {
    const videos = videosOf(context)
    const least = await floor(videos, context.say)
    return { videos, ours: await ours(videos, context.say), floor: least }
  },
  words: ({ videos, ours: own, floor: least }) =>
    `${videos} submissions, ${atOnce} at once.\n\n${table(
      ['', 'accepted/s', 'submitted/s', 'CPU ms each', 'of which'],
      [
        ['ours', own.acceptedPerSecond, own.submittedPerSecond, own.cpuMs] as const,
        ['floor', least.acceptedPerSecond, null, least.cpuMs] as const,
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
