/**
 * `npm run mutations [-- --only text] [-- --shard 1/3]`: switches off one rule at a time in a copy
 * of the sources, and shows that a law is then found broken. Exits non-zero when a rule can be
 * removed and nothing notices.
 */
import { execFile, type ChildProcess } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  chmodSync,
} from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { asked, UsageError } from '../../cli/command.ts'
import { endsWithUs, isLeaving, runToEnd } from '../support/ending.ts'
import { isMarked, mutate } from './mutate.ts'
import type { Finder, Mutation } from './mutation.ts'
import { mutations } from './table.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const node = process.execPath
const vitest = (file: string, name: string) => [
  join(root, 'node_modules/vitest/vitest.mjs'),
  'run',
  file,
  '-t',
  name,
  '--bail',
  '1',
  // a mutant may have a test wait for ever
  '--testTimeout',
  '120000',
]
const finders: Record<Finder, string[]> = {
  simulation: [
    '--disable-warning=ExperimentalWarning',
    'test/simulation/main.ts',
    '--seeds',
    '400',
    '--steps',
    '10000',
    '--stop',
  ],
  'store against Postgres': vitest('test/simulation/store-conformance.test.ts', ''),
  'broker against nats-server': vitest('test/simulation/broker-conformance.test.ts', ''),
  providers: vitest('libs/provider', ''),
  'turns by themselves': vitest('libs/runtime/fair-slots.test.ts', ''),
  'names by themselves': vitest('libs/net/names.test.ts', ''),
  'the host by itself': vitest('services/poller', ''),
  outbox: vitest('test/system/outbox.test.ts', ''),
  'submit by itself': vitest('services/submit', ''),
  decisions: vitest('libs/scene-video', ''),
  schedules: vitest('test/simulation/schedules.test.ts', ''),
  'lists by themselves': vitest('libs/bus/newest-of-each.test.ts', ''),
  'sessions by themselves': vitest('libs/store/connect.test.ts', ''),
  'the clock by itself': vitest('libs/runtime/clock.test.ts', ''),
  'the reconciler by itself': vitest('test/simulation/reconciler.test.ts', ''),
  'status by itself': vitest('services/status/apply-reports.test.ts', ''),
  versions: vitest('libs/bus/version.test.ts', ''),
  'last published': vitest('libs/outbox/last-published.test.ts', ''),
  'rules by themselves': vitest('test/simulation/rules.test.ts', ''),
  'moves together': vitest('test/system/moves-together.test.ts', ''),
  'task of one video': vitest('test/system/task-of-one-video.test.ts', ''),
  'small pools': vitest('test/system/small-pool.test.ts', ''),
  callbacks: vitest('test/system/callbacks.test.ts', ''),
  'late commands': vitest('test/system/late-command.test.ts', ''),
  charges: vitest('test/system/charged-videos.test.ts', ''),
  budgets: vitest('test/system/gateway-budget.test.ts', 'nobody waits'),
  'rules of the store': [
    ...vitest('test/system/reports.test.ts', ''),
    'test/system/commit-claims.test.ts',
  ],
  'the gateway by itself': vitest('services/gateway', ''),
  'the archiver by itself': vitest('services/archiver', ''),
  files: vitest('test/system/archiver', ''),
  'the directory by itself': vitest('libs/files/directory-store.test.ts', ''),
  retention: vitest('test/system/file-retention.test.ts', ''),
  uploads: vitest('test/system/gateway-uploads.test.ts', ''),
  'key rotation': vitest('test/system/key-rotation.test.ts', 'operator holds'),
}

function copySources(): string {
  const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-mutant-'))
  chmodSync(dir, 0o755)
  for (const name of [
    'libs',
    'services',
    'test',
    'prisma',
    'cli',
    'package.json',
    'tsconfig.json',
    'vitest.config.ts',
  ])
    cpSync(join(root, name), join(dir, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  // what tests leave that are cut off goes with it; Postgres may run as somebody else
  mkdirSync(join(dir, 'tmp'))
  chmodSync(join(dir, 'tmp'), 0o1777)
  return dir
}

interface Run {
  status: number | string | null
  said: { stdout: string; stderr: string }
}

/** `dir` is gone, and nothing of ours runs in it, however we end. */
class Finding implements AsyncDisposable {
  readonly #dir: string
  #child: ChildProcess | undefined

  constructor(dir: string) {
    this.#dir = dir
  }

  /** A status of null: it had to be ended. */
  run(args: string[]): Promise<Run> {
    const path = `${dirname(resolve(node))}:${process.env['PATH']}`
    const env = { ...process.env, PATH: path, TMPDIR: join(this.#dir, 'tmp'), SEED: '1' }
    const options = { cwd: this.#dir, env, timeout: 300_000, maxBuffer: Infinity }
    return new Promise((tell) => {
      this.#child = execFile(node, args, options, (err, stdout, stderr) =>
        // some, when they are ended, exit with a code of their own
        tell({ status: err ? (!err.killed && err.code) || null : 0, said: { stdout, stderr } }),
      )
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    }
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** The finder's word on a mutant; null when it noticed nothing. */
async function find(
  finding: Finding,
  dir: string,
  { rule, by, also, ...edit }: Mutation,
): Promise<string | null> {
  const edits = [{ rule, ...edit }, ...(also ? [{ rule: `${rule}, second`, ...also }] : [])].map(
    (one) => ({ ...one, file: fileOf(dir, one.rule) }),
  )
  const originals = new Map(edits.map(({ file }) => [file, readFileSync(file, 'utf8')]))
  try {
    for (const { file, ...one } of edits)
      writeFileSync(file, mutate(readFileSync(file, 'utf8'), one))
    const { status, said } = await finding.run(finders[by])
    // a run that had to be ended has found nothing
    if (status === 0 || status === null) return null
    const all = `${said.stdout}${said.stderr}`
    const words =
      /law (.*)/.exec(said.stdout)?.[1] ??
      /AssertionError.*?: (.*)/.exec(all)?.[1] ??
      all.trim().split('\n').at(-1) ??
      ''
    return words.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…').slice(0, 100)
  } finally {
    for (const [file, text] of originals) writeFileSync(file, text)
  }
}

/** The one file that carries the rule's mark. */
function fileOf(dir: string, rule: string): string {
  const files = ['libs', 'services']
    .flatMap((top) => globSync(`${top}/**/*.ts`, { cwd: dir }))
    .filter(
      (file) => !file.endsWith('.test.ts') && isMarked(readFileSync(join(dir, file), 'utf8'), rule),
    )
  if (files.length !== 1)
    throw new Error(`rule "${rule}" is marked in ${files.length} files, not in one`)
  return join(dir, files[0]!)
}

const chosen = asked('npm run mutations -- [--only text of a rule] [--shard 1/3]', () => {
  const { values } = parseArgs({
    options: { only: { type: 'string', default: '' }, shard: { type: 'string', default: '1/1' } },
  })
  const [, shard, shards] = (/^(\d+)\/(\d+)$/.exec(values.shard) ?? []).map(Number)
  if (!(shard! >= 1 && shard! <= shards!))
    throw new UsageError(`--shard is like 1/3, not "${values.shard}"`)
  const named = mutations.filter(({ rule }) => rule.includes(values.only))
  if (!named.length) throw new UsageError(`--only "${values.only}" is in the text of no rule`)
  return named.filter((_, i) => i % shards! === shard! - 1)
})

async function main(): Promise<number> {
  const dir = copySources()
  await using finding = await endsWithUs(async () => new Finding(dir))
  let unnoticed = 0
  for (const [i, mutation] of chosen.entries()) {
    const found = await find(finding, dir, mutation)
    if (isLeaving()) return 1
    if (found === null) unnoticed++
    process.stdout.write(
      `${i + 1}/${chosen.length} ${found === null ? 'NOT NOTICED' : 'found'}: ${mutation.rule} (${mutation.by})${found === null ? '' : `: ${found}`}\n`,
    )
  }
  process.stdout.write(
    `${chosen.length - unnoticed} rules removed and found broken, ${unnoticed} not noticed\n`,
  )
  return unnoticed ? 1 : 0
}

await runToEnd(main)
