/**
 * The limit of recording: rows a second through status' writer, by the clock and of CPU (Postgres
 * and client), against the bare `UPDATE … FROM unnest` of the same columns on the same table, by
 * the same client, turn by turn in one run. A progress report writes a timeline row too: its floor
 * is the bare update and the bare insert. Ours fences, and hands back the events it committed.
 */
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import type { Change } from '#libs/scene-video/messages.ts'
import { Lab } from '../lib/lab.ts'
import { cpuOfTree } from '../lib/processes.ts'
import { median, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { endlessTasks } from '../lib/tasks.ts'

const batch = 500
const rounds = 24

const running = (progress: number): Change => ({
  status: 'generating',
  phase: 'running',
  progress,
  videoUrl: null,
  videoUrlExpiresAt: null,
  error: null,
})

type Kind = 'bareTouch' | 'signOfLife' | 'bareUpdate' | 'bareUpdateAndInsert' | 'progress'

interface Rate {
  /** Rows a second, by the clock and of CPU. */
  perSecond: number
  perCpuSecond: number
}

interface Share {
  ofTime: number
  ofCpu: number
}

export interface LimitOfStatus {
  /** Turn by turn. */
  found: Record<Kind, Rate[]>
  /** Ours ÷ floor, medians of the turns. */
  signOfLife: Share
  progress: Share
  progressOfUpdate: Share
}

/** Of one way to write all batches. */
async function rateOf(
  lab: Lab,
  batches: string[][],
  act: (some: string[]) => Promise<unknown>,
): Promise<Rate> {
  const spent = () =>
    cpuOfTree(lab.postgres.pid) + process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000
  const [cpu, from] = [spent(), performance.now()]
  for (const some of batches) await act(some)
  const rate = (ms: number) => (batch * rounds * 1000) / ms
  return { perSecond: rate(performance.now() - from), perCpuSecond: rate(spent() - cpu) }
}

async function limitOfStatus({ quick, say }: Context): Promise<LimitOfStatus> {
  const pairs = quick ? 3 : 7
  await using lab = await Lab.open()
  const db = openDatabase(lab.postgres.url, 2)
  try {
    const ids = await lab.addVideos(endlessTasks(batch * rounds))
    const batches = Array.from({ length: rounds }, (_, i) => ids.slice(i * batch, (i + 1) * batch))
    const writer = new ReportWriter(db)
    for (const some of batches)
      await writer.commitClaims(
        'bench',
        some.map((id) => ({ id, epoch: '1' })),
      )
    await db.$executeRaw`UPDATE "SceneVideo" SET status = 'generating', phase = 'running'`
    await db.$executeRaw`VACUUM ANALYZE`
    let no = 0
    const reports = (some: string[], change: Change | null) => {
      no++
      return writer.apply(some.map((id) => ({ id, attempt: 1, epoch: '1', no, change })))
    }
    const kinds: Record<Kind, (some: string[]) => Promise<unknown>> = {
      bareTouch: (some) => bareTouch(db, some, ++no),
      signOfLife: (some) => reports(some, null),
      bareUpdate: (some) => bareUpdate(db, some, ++no),
      bareUpdateAndInsert: async (some) => {
        await bareUpdate(db, some, ++no)
        await bareInsert(db, some, no)
      },
      progress: (some) => reports(some, running(no % 100)),
    }
    const found: LimitOfStatus['found'] = {
      bareTouch: [],
      signOfLife: [],
      bareUpdate: [],
      bareUpdateAndInsert: [],
      progress: [],
    }
    for (let i = -1; i < pairs; i++) {
      for (const [kind, act] of Object.entries(kinds)) {
        const rate = await rateOf(lab, batches, act)
        if (i >= 0) found[kind as Kind].push(rate)
      }
      await db.$executeRaw`DELETE FROM "Timeline"`
      await db.$executeRaw`VACUUM`
      if (i >= 0)
        say(
          `round ${i + 1}/${pairs}: ${Object.entries(found)
            .map(([kind, rates]) => `${kind} ${text(rates.at(-1)!.perSecond)}/s`)
            .join(', ')}`,
        )
    }
    const share = (ours: Rate[], floor: Rate[]): Share => ({
      ofTime: median(ours.map((rate, i) => rate.perSecond / floor[i]!.perSecond)),
      ofCpu: median(ours.map((rate, i) => rate.perCpuSecond / floor[i]!.perCpuSecond)),
    })
    return {
      found,
      signOfLife: share(found.signOfLife, found.bareTouch),
      progress: share(found.progress, found.bareUpdateAndInsert),
      progressOfUpdate: share(found.progress, found.bareUpdate),
    }
  } finally {
    await db.$disconnect()
  }
}

const array = (values: (string | number)[]) => `{${values.join(',')}}`

const bareTouch = (db: Database, ids: string[], no: number) => db.$executeRaw`
  UPDATE "SceneVideo" v SET "reportNo" = i.no, "updatedAt" = now() FROM unnest(${array(ids)}::uuid[], ${array(ids.map(() => no))}::int[]) AS i(id, no) WHERE v.id = i.id`

const bareUpdate = (db: Database, ids: string[], no: number) => db.$executeRaw`
  UPDATE "SceneVideo" v SET "reportNo" = i.no, "updatedAt" = now(), progress = i.progress, phase = i.phase, version = v.version + 1
  FROM unnest(${array(ids)}::uuid[], ${array(ids.map(() => no))}::int[], ${array(ids.map(() => no % 100))}::int[], ${array(ids.map(() => 'running'))}::text[]) AS i(id, no, progress, phase) WHERE v.id = i.id`

const bareInsert = (db: Database, ids: string[], no: number) => db.$executeRaw`
  INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, snapshot, owed)
  SELECT v.id, v.version, 1, 'progress', 'progress', 'generating', 'running', ${no % 100}::int, 'status', to_jsonb(v), true FROM "SceneVideo" v WHERE v.id = ANY(${array(ids)}::uuid[])`

export const limitStatusPart = part<LimitOfStatus>({
  name: 'limit-status',
  title: 'The limit of recording',
  run: limitOfStatus,
  seconds: ({ quick }) => 12 + (quick ? 3 : 7) * 4,
  words({ found, signOfLife, progress, progressOfUpdate }) {
    const line = (what: string, ours: Rate[], floorName: string, floor: Rate[], share: Share) => [
      what,
      text(median(ours.map((rate) => rate.perSecond))),
      floorName,
      text(median(floor.map((rate) => rate.perSecond))),
      `${text(share.ofTime * 100)} %`,
      `${text(share.ofCpu * 100)} %`,
    ]
    return `${table(
      ['report', 'rows/s', 'floor', 'rows/s', 'ours of the floor, by the clock', 'of CPU'],
      [
        line('sign of life', found.signOfLife, 'bare update', found.bareTouch, signOfLife),
        line(
          'progress',
          found.progress,
          'bare update and insert',
          found.bareUpdateAndInsert,
          progress,
        ),
        line('progress', found.progress, 'bare update', found.bareUpdate, progressOfUpdate),
      ],
    )}\n\nMedians of ${found.progress.length} turns; bar: 80 %.`
  },
})
