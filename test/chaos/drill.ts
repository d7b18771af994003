/**
 * `npm run drill -- <name> [--quick]`: one kind of disaster at a time, measured and judged. Ends in
 * a table; non-zero when a law was broken.
 */
import { parseArgs } from 'node:util'
import { asked, numberOf, UsageError } from '../../cli/command.ts'
import { runToEnd } from '../support/ending.ts'
import { generator } from '../simulation/world.ts'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { gather } from './evidence.ts'
import { judgeFiles } from './files.ts'
import { judge, type Promises, type Verdict } from './judge.ts'
import { atRest } from './rest.ts'
import { Users } from './users.ts'
import { Witness } from './witness.ts'

type Settings = Omit<ClusterOptions, 'random'>

export interface Drill {
  about: string
  /** Also smaller, when quick. */
  run(drilling: Drilling): Promise<void>
  cluster?: Settings | (() => Settings)
}

/** What a drill has in hand. */
export class Drilling {
  readonly quick: boolean
  readonly cluster: Cluster
  readonly users: Users
  readonly witness: Witness
  readonly random: () => number
  readonly tell: (line: string) => void
  readonly rows: [string, string | number][] = []
  readonly breaches: string[] = []
  readonly promises: Partial<Promises> = {}
  /** Files, as judged. */
  kept = 0
  lost = 0

  constructor(
    parts: Pick<Drilling, 'quick' | 'cluster' | 'users' | 'witness' | 'random' | 'tell'>,
  ) {
    this.quick = parts.quick
    this.cluster = parts.cluster
    this.users = parts.users
    this.witness = parts.witness
    this.random = parts.random
    this.tell = parts.tell
  }

  /** A line of the table. */
  note(what: string, value: string | number): void {
    this.rows.push([what, value])
    this.tell(`${what}: ${value}`)
  }

  /** `count` submissions, all accepted. */
  async submit(count: number, rate: number, prompts?: string[]): Promise<void> {
    this.users.begin({ rate, ...(prompts ? { prompts } : {}) }, count)
    await this.users.finish()
  }

  /** Rows whose count must be 0, after everything has come to rest. */
  async judge(restWithinMs?: number): Promise<void> {
    await atRest(this.cluster, restWithinMs).catch((err: unknown) =>
      this.breaches.push((err as Error).message),
    )
    const verdict = judge(await gather(this.cluster), {
      accepted: this.users.accepted.keys(),
      historyLost: false,
      ...this.promises,
    })
    this.note('videos accepted', verdict.videos)
    this.note('creates the provider accepted', verdict.creates)
    for (const [name, list] of breachesIn(verdict)) {
      this.note(name, list.length)
      this.breaches.push(...list)
    }
    this.note('gateway behind an event, or an event changed', this.witness.breaches.length)
    this.note('answers that are no clear 503', this.users.unclear.length)
    this.breaches.push(...this.witness.breaches, ...this.users.unclear)
    await this.#judgeFiles().catch((err: unknown) => this.breaches.push((err as Error).message))
  }

  async #judgeFiles(): Promise<void> {
    const { stored, lost, strays, wrong } = await judgeFiles(this.cluster)
    this.kept = stored
    this.lost = lost
    this.note('files kept', stored)
    this.note('files lost, and told', lost)
    this.note('left over by killed archivers', strays)
    this.note('files wrong', wrong.length)
    this.breaches.push(...wrong)
  }
}

/** The lists of a verdict that must be empty, by name. */
export const breachesIn = (verdict: Verdict): [string, string[]][] => [
  ['second creates', verdict.secondCreates],
  ['lost', verdict.lost],
  ['stuck', verdict.stuck],
  ['wrong outcomes', verdict.wrong],
  ['stale effects accepted', verdict.staleEffects],
  ['event order broken', verdict.eventOrder],
]

export const tableOf = (rows: [string, string | number][]): string =>
  ['| what | value |', '|---|---|', ...rows.map(([what, value]) => `| ${what} | ${value} |`)].join(
    '\n',
  )

export async function runDrill(
  drill: Drill,
  options: { quick: boolean; seed: number; tell(line: string): void },
): Promise<Drilling> {
  const random = generator(options.seed)
  await using cluster = await Cluster.start({
    ...(typeof drill.cluster === 'function' ? drill.cluster() : drill.cluster),
    random,
  })
  await using witness = await Witness.begin(cluster, () => Math.random() < 0.1)
  const drilling = new Drilling({
    ...options,
    cluster,
    users: new Users(cluster.tenants[0]!, random),
    witness,
    random,
  })
  await drill.run(drilling)
  return drilling
}

async function main(): Promise<number> {
  const { drills } = await import('./drills/index.ts')
  const usage = `npm run drill -- <name> [--quick] [--seed 1]\n\n${Object.entries(drills)
    .map(([one, { about }]) => `  ${one.padEnd(19)}${about}`)
    .join('\n')}`
  const tell = (line: string) => void process.stdout.write(`${line}\n`)
  const { drill, ...options } = asked(usage, () => {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        seed: { type: 'string', default: '1' },
      },
    })
    const [name, more] = positionals
    if (name !== undefined && !Object.hasOwn(drills, name))
      throw new UsageError(`There is no drill ${name}.`)
    if (more !== undefined) throw new UsageError(`One drill at a time: ${more} is one too many.`)
    return {
      drill: name === undefined ? undefined : drills[name],
      quick: values.quick,
      seed: numberOf('--seed', values.seed, { least: 0 }),
    }
  })
  if (!drill) {
    tell(`Usage: ${usage}`)
    return 0
  }
  const { rows, breaches } = await runDrill(drill, { ...options, tell })
  tell(
    `\n${tableOf(rows)}\n${breaches.length ? breaches.slice(0, 20).join('\n') : 'no law broken'}`,
  )
  return breaches.length ? 1 : 0
}

if (import.meta.main) await runToEnd(main)
