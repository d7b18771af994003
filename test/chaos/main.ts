/**
 * `npm run chaos -- --minutes N --seed S`: ends in a table; non-zero when a law was broken.
 */
import { parseArgs } from 'node:util'
import { asked, numberOf } from '../../cli/command.ts'
import { runToEnd } from '../support/ending.ts'
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

const usage = 'npm run chaos -- [--minutes 5] [--seed S] [--rate 3]'

function options(): { minutes: number; rate: number; seed: number } {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string' },
      rate: { type: 'string', default: '3' },
    },
  })
  return {
    minutes: numberOf('--minutes', values.minutes, { least: 0.01, most: 24 * 60, isWhole: false }),
    rate: numberOf('--rate', values.rate, { least: 0.01, most: 100, isWhole: false }),
    seed:
      values.seed === undefined
        ? Math.floor(Math.random() * 1e9)
        : numberOf('--seed', values.seed, { least: 0 }),
  }
}

async function main(): Promise<number> {
  const { minutes, rate, seed } = asked(usage, options)
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
  return breaches.length ? 1 : 0
}

if (import.meta.main) await runToEnd(main)
