/**
 * `npm run bench [-- --quick] [-- --only same-work,soak] [-- --videos 1000,10000] [-- --runs 5] [--
 * --who reelkeeper,bullmq] [-- --minutes 30]`: all parts one after another, each with servers of
 * its own on loopback. `--quick` measures a little of everything but the soak and ends within five
 * minutes; ratios to be quoted come from `--runs 5` or more. Keeps bench/results/<part>.json, of
 * the same work a picture, and in results.md the tables of all that is kept; of a short form in
 * bench/results/quick.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { asked, namesOf, numberOf } from '../cli/command.ts'
import { contestants } from './lib/contestants.ts'
import { isLeaving, leave } from '../test/support/ending.ts'
import type { Options, Part } from './lib/part.ts'
import { parts } from './parts/all.ts'

function read(): { quick: boolean; wanted: string[] | undefined; options: Options } {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      videos: { type: 'string' },
      runs: { type: 'string', default: '1' },
      who: { type: 'string' },
      minutes: { type: 'string', default: '30' },
    },
  })
  const { only, videos, who } = values
  const names = parts.map((part) => part.name)
  return {
    quick: values.quick,
    wanted: only === undefined ? undefined : namesOf('--only', only, names),
    options: {
      videos: videos?.split(',').map((one) => numberOf('--videos', one)) ?? [],
      runs: numberOf('--runs', values.runs),
      who: who === undefined ? [] : namesOf('--who', who, contestants),
      minutes: numberOf('--minutes', values.minutes, { least: 0.01, isWhole: false }),
    },
  }
}
/** As in the image: without it a service needs 30 MB more, and twice the CPU to start. */
process.env['NODE_COMPILE_CACHE'] ??= fileURLToPath(
  new URL('../node_modules/.cache/compile', import.meta.url),
)
const usage =
  'npm run bench -- [--quick] [--only same-work,soak] [--videos 1000,10000] [--runs 5] [--who reelkeeper,bullmq] [--minutes 30]'
const { quick, wanted, options } = asked(usage, read)
const chosen = parts.filter((part) =>
  wanted ? wanted.includes(part.name) : !quick || !part.longOnly,
)

const results = fileURLToPath(new URL(quick ? 'results/quick' : 'results', import.meta.url))
mkdirSync(results, { recursive: true })
const isTerminal = process.stderr.isTTY
const print = (line: string) =>
  void process.stdout.write(`${isTerminal ? '\r\u001b[K' : ''}${line}\n`)
const clock = (seconds: number) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
const light = quick ? chosen.filter((part) => part.light) : []
/** One after another; in the short form the light ones together at the end. */
const groups = [...chosen.filter((part) => !light.includes(part)).map((part) => [part]), light]
const total = groups.reduce(
  (sum, group) => sum + Math.max(0, ...group.map((part) => part.seconds({ quick, options }))),
  0,
)

/** Where there is no terminal, a line at most so often. */
const lineEveryMs = 5_000
let saidAt = -Infinity
function say(line: string): void {
  const now = performance.now()
  if (!isTerminal && now - saidAt < lineEveryMs) return
  saidAt = now
  const full = `[${clock(now / 1000)} of about ${clock(total)}] ${line}`
  process.stderr.write(
    isTerminal ? `\r\u001b[K${full.slice(0, process.stderr.columns - 1)}` : `${full}\n`,
  )
}

interface Kept {
  about: { node: string; cpus: number; model: string; quick: boolean }
  found: unknown
}

function keptOf({ name }: Part): Kept | null {
  const file = `${results}/${name}.json`
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Kept) : null
}

let failed = false
async function run(part: Part): Promise<void> {
  if (isLeaving()) return
  try {
    const found = await part.run({
      quick,
      options,
      kept: keptOf(part)?.found ?? null,
      say: (line) => say(`${part.title.toLowerCase()}: ${line}`),
      warn: print,
    })
    if (isLeaving()) return // what it found is not whole
    const about = {
      node: process.version,
      cpus: cpus().length,
      model: cpus()[0]?.model,
      load: loadavg().map((one) => Number(one.toFixed(1))),
      quick,
    }
    writeFileSync(`${results}/${part.name}.json`, `${JSON.stringify({ about, found }, null, 1)}\n`)
    if (part.picture) writeFileSync(`${results}/${part.name}.svg`, part.picture(found))
    print(`\n## ${part.title}\n\n${part.words(found)}`)
  } catch (err) {
    if (isLeaving()) return
    failed = true
    print(`${part.title} failed: ${(err as Error).stack}`)
  }
}
for (const group of groups) await Promise.all(group.map(run))

if (isLeaving()) await new Promise(() => {}) // until the process ends
function section(part: Part): string[] {
  const { name, title, words, picture } = part
  try {
    const kept = keptOf(part)
    if (!kept) return []
    const { about, found } = kept
    return [
      `## ${title}\n\n${words(found)}\n\n${picture ? `![](${name}.svg)\n\n` : ''}(${name}.json: Node ${about.node}, ${about.cpus} × ${about.model}${about.quick ? ', short form' : ''})\n`,
    ]
  } catch (err) {
    print(
      `${name}.json was kept by another form of the bench and is left out: ${(err as Error).message}`,
    )
    return []
  }
}
writeFileSync(
  `${results}/results.md`,
  `# Results of the bench\n\n${parts.flatMap(section).join('\n')}`,
)
print(`\n${clock(performance.now() / 1000)} in all; kept in ${results}`)
await leave(failed ? 1 : 0)
