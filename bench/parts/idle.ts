/**
 * The whole system as `npm start` runs it, with nothing to do: transactions in Postgres, CPU of
 * each process.
 */
import pg from 'pg'
import { sleep } from '#libs/runtime/clock.ts'
import { System } from '../../test/support/system.ts'
import { endsWithUs } from '../../test/support/ending.ts'
import { table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { cpuOfTree, rssOf } from '../lib/processes.ts'

export interface Idle {
  seconds: number
  transactionsPerSecond: number
  processes: { name: string; cpuMsPerSecond: number; rssMb: number }[]
}

const settleMs = 15_000
const secondsOf = ({ quick }: Pick<Context, 'quick'>) => (quick ? 15 : 60)

async function idle({ quick, say }: Context): Promise<Idle> {
  const seconds = secondsOf({ quick })
  say('starting everything')
  await using system = await endsWithUs(async () => new System())
  await system.start()
  const { databaseUrl, processes } = system.dev
  const ours = new URL(databaseUrl)
  const name = ours.pathname.slice(1)
  ours.pathname = '/postgres' // so that what is asked here is counted there
  const client = new pg.Client({ connectionString: ours.href })
  client.on('error', () => {}) // it ends with the server
  await client.connect()
  const read = async () => {
    const { rows } = await client.query<{ count: string }>(
      'SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = $1',
      [name],
    )
    return {
      transactions: Number(rows[0]!.count),
      cpu: processes.map(({ pid }) => cpuOfTree(pid)),
      at: performance.now(),
    }
  }
  say('settling')
  await sleep(settleMs)
  const before = await read()
  say(`measuring for ${seconds} s`)
  await sleep(seconds * 1000)
  const after = await read()
  await client.end()
  const took = (after.at - before.at) / 1000
  return {
    seconds,
    transactionsPerSecond: (after.transactions - before.transactions) / took,
    processes: processes.map(({ name, pid }, i) => ({
      name,
      cpuMsPerSecond: (after.cpu[i]! - before.cpu[i]!) / took,
      rssMb: rssOf(pid) / 2 ** 20,
    })),
  }
}

export const idlePart = part<Idle>({
  name: 'idle',
  title: 'Idle',
  light: true,
  run: idle,
  seconds: (context) => 30 + secondsOf(context),
  words: ({ seconds, transactionsPerSecond, processes }) =>
    `${text(transactionsPerSecond, 2)} Postgres transactions a second in all over ${seconds} s (bar: 1).\n\n${table(
      ['process', 'CPU ms/s', 'RSS MB'],
      processes.map((one) => [one.name, text(one.cpuMsPerSecond, 1), text(one.rssMb)]),
    )}`,
})
