/**
 * Lists, counts and statistics over a million rows and more: one page, one count, one statistic
 * after another, each with values of its own. What a user of half of all rows waits for; HTTP comes
 * on top.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { firstV7At } from '#libs/runtime/uuid.ts'
import { openDatabase } from '#libs/store/connect.ts'
import type { PageOptions } from '#libs/store/list-videos.ts'
import { migrate } from '#libs/store/migrate.ts'
import { Reader } from '#libs/store/reader.ts'
import { addUpCounts } from '#libs/store/video-counts.ts'
import type { VideoFilter } from '#libs/store/video-filter.ts'
import { startPostgres } from '#services/dev/servers/postgres.ts'
import { endsWithUs } from '../../test/support/ending.ts'
import { days, errorCodes, fill, type Filled } from '../lib/many-videos.ts'
import { Sample, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'

interface Found {
  rows: number
  tableMb: number
  indexMb: number
  asked: number
  what: { name: string; p50: number; p99: number; max: number }[]
}

const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)]!
const dayMs = 24 * 3_600_000

/** Each case with its values drawn anew. */
function cases(reader: Reader, filled: Filled, rows: number, nowMs: number) {
  const { userId, projects, scenes } = filled
  const newest = { limit: 20, order: 'desc' } as const
  const at = (share: number) => nowMs - days * dayMs * share
  const iso = (ms: number) => new Date(ms).toISOString()
  const page = (filter: Partial<VideoFilter>, options: Partial<PageOptions> = {}) =>
    reader.list({ userId, ...filter }, { ...newest, ...options })
  const within = (share: number, lengthMs: number) => ({
    createdFrom: iso(at(share)),
    createdTo: iso(at(share) + lengthMs),
  })
  const even = () => 2 * Math.ceil(Math.random() * (rows / 2))
  const range = (length: number) => ({ userId, fromMs: nowMs - length * dayMs, toMs: nowMs })
  return {
    'page: newest': () => page({}),
    'page: newest 100': () => page({}, { limit: 100 }),
    'page: anywhere': () => page({}, { after: firstV7At(at(Math.random())) }),
    'page: anywhere, oldest first': () =>
      page({}, { order: 'asc', after: firstV7At(at(Math.random())) }),
    'page: failed': () => page({ status: ['failed'] }, { after: firstV7At(at(Math.random())) }),
    'page: open': () => page({ status: ['pending', 'generating'] }),
    'page: by error code': () => page({ errorCode: [pick(errorCodes)] }),
    'page: by provider and model': () => page({ provider: ['provider-1'], model: ['model-1'] }),
    'page: a model of one in 10,000': () => page({ model: ['model-rare'] }),
    'page: failed, by phase, in a week': () =>
      page({ status: ['failed'], phase: ['done'], ...within(Math.random(), 7 * dayMs) }),
    'page: an hour': () => page(within(Math.random(), 3_600_000)),
    'page: a word that many have': () => page({ q: 'lighthouse' }),
    'page: a word that one of 50,000 has': () => page({ q: 'unicorn' }),
    'page: a word that none has': () => page({ q: `nothing ${Math.random()}` }),
    'page: a task’s id': () => page({ q: `task_${even()}` }),
    'page: metadata that one has': () => page({ metadata: { order: `o-${even()}` } }),
    'page: metadata that one of 100 has': () =>
      page({ metadata: { shot: String(2 * Math.floor(Math.random() * 50)) } }),
    'page: a project': () => page({ projectId: pick(projects) }),
    'page: a project, failed': () => page({ projectId: pick(projects), status: ['failed'] }),
    'page: a scene': () => page({ sceneId: pick(scenes) }),
    'page: of all users, failed': () => page({ userId: null, status: ['failed'] }),
    counts: () => reader.counts({ userId }),
    'counts: a project': () => reader.counts({ userId, projectId: pick(projects) }),
    'counts: a word': () => reader.counts({ userId, q: 'lighthouse' }),
    'counts: an error code': () => reader.counts({ userId, errorCode: [pick(errorCodes)] }),
    'project: counts and progress': () => reader.project(userId, pick(projects)),
    'stats: 7 days by model': () => reader.stats(range(7), 'model'),
    'stats: 90 days by model': () => reader.stats(range(90), 'model'),
    'stats: 90 days of all users': () => reader.stats({ ...range(90), userId: null }, 'model'),
  }
}

async function one(rows: number, asked: number, say: (line: string) => void): Promise<Found> {
  await using stack = new AsyncDisposableStack()
  const dir = mkdtempSync(join(tmpdir(), 'reelkeeper-bench-'))
  stack.defer(() => rmSync(dir, { recursive: true, force: true }))
  chmodSync(dir, 0o755)
  const postgres = stack.use(await endsWithUs(() => startPostgres({ dir: join(dir, 'postgres') })))
  await migrate(postgres.url)
  const pool = stack.adopt(new pg.Pool({ connectionString: postgres.url, max: 2 }), (one) =>
    one.end(),
  )
  const filled = await fill(pool, rows, say)
  const db = stack.adopt(openDatabase(postgres.url, 4), (one) => one.$disconnect())
  // as the reconciler does every few seconds
  say('adding up')
  while ((await addUpCounts(db, 50_000)) > 0);
  await pool.query('VACUUM ANALYZE')
  const reader = new Reader(db)
  const nowMs = (await reader.now()).getTime()
  const what: Found['what'] = []
  for (const [name, ask] of Object.entries(cases(reader, filled, rows, nowMs))) {
    say(name)
    const sample = new Sample()
    for (let i = -5; i < asked; i++) {
      const from = performance.now()
      await ask()
      if (i >= 0) sample.add(performance.now() - from)
    }
    const { p50, p99, max } = sample.take()
    what.push({ name, p50, p99, max })
  }
  const { rows: sizes } = await pool.query<{ table: string; index: string }>(
    `SELECT pg_table_size('"SceneVideo"') AS table, pg_indexes_size('"SceneVideo"') AS index`,
  )
  const mb = (bytes: string) => Number(bytes) / 2 ** 20
  return { rows, tableMb: mb(sizes[0]!.table), indexMb: mb(sizes[0]!.index), asked, what }
}

const plan = ({ quick, options }: Pick<Context, 'quick' | 'options'>) => ({
  counts: options.videos.length ? options.videos : [quick ? 20_000 : 1_000_000],
  asked: quick ? 20 : 100,
})

export const listsPart = part<Found[]>({
  name: 'lists',
  title: 'Lists, counts and statistics over many rows',
  seconds(context) {
    const { counts, asked } = plan(context)
    return counts.reduce((sum, rows) => sum + 15 + rows / 8_000 + asked * 0.8, 0)
  },
  async run(context) {
    const { counts, asked } = plan(context)
    const found: Found[] = []
    for (const rows of counts)
      found.push(await one(rows, asked, (line) => context.say(`${text(rows)} rows: ${line}`)))
    return found
  },
  words: (found) =>
    found
      .map(
        ({ rows, tableMb, indexMb, asked, what }) =>
          `${text(rows)} rows, ${text(tableMb)} MB and ${text(indexMb)} MB of indexes; each asked ${asked} times, ms:\n\n${table(
            ['', 'p50', 'p99', 'max'],
            what.map(({ name, p50, p99, max }) => [name, text(p50, 1), text(p99, 1), text(max, 1)]),
          )}`,
      )
      .join('\n\n'),
})
