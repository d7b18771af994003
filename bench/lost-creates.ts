/**
 * `node bench/lost-creates.ts [--videos 1000] [--only kling,ark]`: videos of one provider for each
 * form of recovery, through the whole system as `npm start` runs it, while answers to creates get
 * lost (see test/support/lost-creates.ts). Writes its table into docs/providers.md; ends with 1
 * where an attempt had two tasks, or a video another's.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { asked, namesOf, numberOf } from '../cli/command.ts'
import { endsWithUs, runToEnd } from '../test/support/ending.ts'
import {
  callingProvider,
  LossySystem,
  lossyProviders,
  type Losses,
} from '../test/support/lost-creates.ts'

const known = [...lossyProviders, callingProvider]
const usage = 'node bench/lost-creates.ts [--videos 1000] [--only kling,ark]'
const { videos, only } = asked(usage, () => {
  const { values } = parseArgs({
    options: { videos: { type: 'string', default: '1000' }, only: { type: 'string' } },
  })
  return {
    videos: numberOf('--videos', values.videos),
    only: values.only === undefined ? undefined : namesOf('--only', values.only, known),
  }
})
const page = 'docs/providers.md'
const [head, foot] = ['<!-- lost creates -->\n', '<!-- of lost creates -->\n'] as const
const titles = [
  'provider',
  'guarantee',
  'videos',
  'submit killed',
  'completed',
  'of these recovered',
  '`submission_unknown`',
  'tasks in the ledger',
  'most of one attempt',
]

async function lose(names: string[], about: { isCalled: boolean }): Promise<Losses[]> {
  const rows: Losses[] = []
  if (names.length === 0) return rows
  await using system = await endsWithUs(() => LossySystem.make(about))
  await system.start()
  for (const name of names) {
    const began = performance.now()
    const [told] = await system.lose([name], { videos, deaths: Math.max(2, videos / 100) })
    rows.push(told!)
    const seconds = Math.round((performance.now() - began) / 1_000)
    process.stdout.write(`${JSON.stringify(told)} in ${seconds} s\n`)
  }
  return rows
}

async function main(): Promise<number> {
  const names = only ?? known
  const rows = [
    ...(await lose(
      names.filter((name) => name !== callingProvider),
      { isCalled: false },
    )),
    ...(await lose(
      names.filter((name) => name === callingProvider),
      { isCalled: true },
    )),
  ]
  if (only === undefined) keep(rows)
  return rows.some(({ mostOfOne, wrong }) => mostOfOne !== 1 || wrong.length > 0) ? 1 : 0
}

function keep(rows: Losses[]): void {
  const table = [
    titles,
    titles.map(() => '-'),
    ...rows.map((one) => [
      one.provider,
      one.guarantee,
      one.videos,
      one.deaths,
      one.completed,
      one.recovered,
      one.submissionUnknown,
      one.tasks,
      one.mostOfOne,
    ]),
  ]
  const now = readFileSync(page, 'utf8')
  const [from, to] = [now.indexOf(head) + head.length, now.indexOf(foot)]
  const text = table.map((row) => `| ${row.join(' | ')} |\n`).join('')
  writeFileSync(page, `${now.slice(0, from)}${text}${now.slice(to)}`)
}

await runToEnd(main)
