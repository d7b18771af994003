/**
 * `npm run chaos -- --minutes N --seed S`: the whole system as real processes, users who submit,
 * cancel and retry, and faults by chance, all at once. When the time is over everything is left
 * alone, must come to rest, and is judged. Ends in a table; non-zero when a law was broken.
 */
import { parseArgs } from 'node:util'
import { readFileSync } from 'node:fs'
import { generator } from '../simulation/world.ts'
import { pause } from '../support/system.ts'
import { Cluster } from './cluster.ts'
import {
  loseStore,
  processFaults,
  serverFaults,
  withinMs,
  type Dice,
  type Fault,
} from './faults.ts'
import { breachesIn } from './drill.ts'
import { judge, type Verdict } from './judge.ts'
import { longestGap } from './polling.ts'
import { atRest } from './rest.ts'
import { Users } from './users.ts'
import { Witness } from './witness.ts'

export interface ChaosOptions {
  minutes: number
  seed: number
  /** Submissions a second. */
  rate: number
  tell(line: string): void
}

export interface ChaosResult extends Verdict {
  seed: number
  minutes: number
  faults: Record<string, number>
  behind: string[]
  asked: number
  unclear: string[]
  answers: Record<string, number>
  /** Seconds from the last fault to the last end. */
  restSeconds: number
  longestGapSeconds: number
  longestGapTask: string
  mostRssMb: Record<string, number>
}

const prompts = [
  ...Array.from({ length: 15 }, () => 'a paper boat'),
  '[fail] a boat',
  '[policy] a boat',
  '[unknown] a boat',
]
const providerFaults = {
  acceptThenTimeout: 0.03,
  acceptThenReset: 0.03,
  status500: 0.03,
  status503: 0.02,
  status429: 0.02,
  unknownStatus: 0.03,
  malformed: 0.02,
  slowBody: 0.01,
}
const noProviderFaults = Object.fromEntries(Object.keys(providerFaults).map((name) => [name, 0]))

export async function chaos({ minutes, seed, rate, tell }: ChaosOptions): Promise<ChaosResult> {
  const random = generator(seed)
  const dice: Dice = {
    between: (low, high) => low + (high - low) * random(),
    pick: (items) => items[Math.floor(random() * items.length)]!,
  }
  await using cluster = await Cluster.start({ proxied: true, skewMs: 30_000, random })
  await cluster.simulator('/settings', {
    minSeconds: 4,
    maxSeconds: 20,
    tier: 'off',
    lookupLagMs: 500,
    faults: providerFaults,
  })
  await using witness = await Witness.begin(cluster, () => Math.random() < 0.2)
  const users = new Users(cluster, random)
  const rss = watchMemory(cluster)
  const faults: Record<string, number> = {}
  const failures: string[] = []
  const endAt = performance.now() + minutes * 60_000
  const healing: string[] = []

  const track = async (kinds: Record<string, Fault>, low: number, high: number) => {
    while (performance.now() < endAt) {
      await pause(Math.min(dice.between(low, high), endAt - performance.now()))
      if (performance.now() >= endAt) return
      const kind = dice.pick(Object.keys(kinds))
      healing.push(kind)
      const what = await kinds[kind]!(cluster, withinMs(dice, endAt - performance.now())).catch(
        (err: unknown) => void failures.push(`${kind}: ${(err as Error).message}`),
      )
      healing.splice(healing.indexOf(kind), 1)
      faults[what ?? kind] = (faults[what ?? kind] ?? 0) + 1
    }
  }
  const status = setInterval(() => {
    const left = Math.round((endAt - performance.now()) / 1000)
    const stage =
      left > 0
        ? `${left} s left`
        : healing.length
          ? `until the last faults heal: ${healing.join(', ')}`
          : 'until everything has ended'
    tell(
      `${stage}, ${users.accepted.size} videos accepted, ${Object.values(faults).reduce((a, b) => a + b, 0)} faults`,
    )
  }, 10_000)
  users.begin({ rate, cancel: 0.06, retry: 0.1, deadline: 0.05, prompts })
  await Promise.all([
    track(processFaults, 500, 4_000),
    track(processFaults, 500, 4_000),
    track(serverFaults, 10_000, 30_000),
    track({ 'NATS store lost': loseStore }, 60_000, 240_000),
  ])
  tell('no more faults; waiting for everything to end')
  await cluster.simulator('/settings', { faults: noProviderFaults, lookupLagMs: 0 })
  await users.stop()
  const healedAt = performance.now()
  await atRest(cluster).catch((err: unknown) => failures.push((err as Error).message))
  const restSeconds = Math.round((performance.now() - healedAt) / 1000)
  clearInterval(status)
  const verdict = await judge(cluster, {
    accepted: users.accepted.keys(),
    historyLost: (faults['NATS store lost'] ?? 0) > 0,
  })
  const gap = await longestGap(cluster)
  const answers = Object.fromEntries([...users.answers].sort(([a], [b]) => a - b))
  return {
    ...verdict,
    seed,
    minutes,
    faults,
    behind: witness.breaches,
    asked: witness.asked,
    unclear: [...users.unclear, ...failures],
    answers,
    restSeconds,
    ...gap,
    mostRssMb: rss.stop(),
  }
}

/** The most memory each kind of service had, in MB. */
function watchMemory(cluster: Cluster): { stop(): Record<string, number> } {
  const most: Record<string, number> = {}
  const timer = setInterval(() => {
    for (const name of cluster.services) {
      try {
        const kb = Number(
          /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cluster.pid(name)}/status`, 'utf8'))?.[1] ??
            0,
        )
        const kind = name.replace(/-\d+$/, '')
        most[kind] = Math.max(most[kind] ?? 0, Math.round(kb / 1024))
      } catch {
        // between two lives
      }
    }
  }, 2_000)
  return {
    stop() {
      clearInterval(timer)
      return most
    },
  }
}

/** The counts that must be 0, by name. */
export const breachesOf = (result: ChaosResult): Record<string, string[]> => ({
  ...Object.fromEntries(breachesIn(result)),
  'gateway behind an event, or an event changed': result.behind,
  'answers that are no clear 503, faults that did not heal': result.unclear,
})

export function table(result: ChaosResult): string {
  const rows: [string, string | number][] = [
    ['seed', result.seed],
    ['minutes', result.minutes],
    ['videos accepted', result.videos],
    ['ended', result.ended],
    ['creates the provider accepted', result.creates],
    ...Object.entries(breachesOf(result)).map(([name, list]): [string, number] => [
      name,
      list.length,
    ]),
    ['events the gateway was asked after', result.asked],
    ['longest time a task was not polled', `${result.longestGapSeconds.toFixed(1)} s`],
    ['from the last fault to rest', `${result.restSeconds} s`],
    [
      'answers to submissions',
      Object.entries(result.answers)
        .map(([code, count]) => `${code}: ${count}`)
        .join(', '),
    ],
    [
      'most memory',
      Object.entries(result.mostRssMb)
        .map(([kind, mb]) => `${kind} ${mb} MB`)
        .join(', '),
    ],
    ...Object.entries(result.faults).map(([name, count]): [string, number] => [
      `fault: ${name}`,
      count,
    ]),
  ]
  return [
    '| what | count |',
    '|---|---|',
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
  ].join('\n')
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string' },
      rate: { type: 'string', default: '3' },
    },
  })
  const [minutes, rate, seed] = [
    Number(values.minutes),
    Number(values.rate),
    Number(values.seed ?? Math.floor(Math.random() * 1e9)),
  ]
  if (!(minutes > 0 && minutes <= 24 * 60) || !(rate > 0 && rate <= 100) || !Number.isInteger(seed))
    throw new Error(
      '--minutes (up to 1440) and --rate (up to 100) are numbers above 0, --seed is a whole number',
    )
  const tell = (line: string) => void process.stdout.write(`${line}\n`)
  tell(`seed ${seed}, ${minutes} minutes, about ${rate} submissions a second`)
  const result = await chaos({ minutes, seed, rate, tell })
  const breaches = Object.entries(breachesOf(result)).filter(([, list]) => list.length)
  for (const [name, list] of breaches)
    tell(
      `${name}:\n${list
        .slice(0, 20)
        .map((one) => `  ${one}`)
        .join('\n')}`,
    )
  tell(table(result))
  tell(
    breaches.length
      ? `LAWS BROKEN; again with --seed ${seed} (what processes do in real time is not repeated exactly)`
      : 'no law broken',
  )
  process.exitCode = breaches.length ? 1 : 0
}

if (import.meta.main) await main()
