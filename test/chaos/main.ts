/**
 * `npm run chaos -- --minutes N --seed S`: ends in a table; non-zero when a law was broken.
 */
import { parseArgs } from 'node:util'
import { chaos, type ChaosResult } from './chaos.ts'
import { breachesIn } from './drill.ts'

/** The counts that must be 0, by name. */
export const breachesOf = (result: ChaosResult): Record<string, string[]> => ({
  ...Object.fromEntries(breachesIn(result)),
  'gateway behind an event, or an event changed': result.behind,
  'answers that are no clear 503, faults that did not heal': result.unclear,
  'promises kept too late': result.tooLate,
  'files wrong': result.files.wrong,
})

export function table(result: ChaosResult): string {
  const rows: [string, string | number][] = [
    ['seed', result.seed],
    ['minutes', result.minutes],
    ['videos accepted', result.videos],
    ['ended', result.ended],
    ['creates the provider accepted', result.creates],
    ['files kept, and lost', `${result.files.stored}, ${result.files.lost}`],
    ...Object.entries(breachesOf(result)).map(([name, list]): [string, number] => [
      name,
      list.length,
    ]),
    ['events the gateway was asked after', result.asked],
    ...result.lateness,
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
