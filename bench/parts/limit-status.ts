/**
 * The limit of recording: rows a second of CPU (Postgres and client) through status' one fenced statement, against the bare `UPDATE … FROM unnest` of the same columns on the same table, by
 * the same client, turn by turn in one run. A progress report writes a timeline row too; its floor is the bare update and the bare insert.
 */
import { openDatabase, type Database } from '#libs/store/connect.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import type { Change } from '#libs/scene-video/messages.ts'
import { Lab } from '../lib/lab.ts'
import { cpuOfTree } from '../lib/processes.ts'
import { median, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { endlessTasks } from '../lib/tasks.ts'

const batch = 500
const rounds = 12

const running = (progress: number): Change => ({ status: 'generating', phase: 'running', progress, videoUrl: null, videoUrlExpiresAt: null, error: null })

export interface LimitOfStatus {
  /** Rows a second of CPU, turn by turn. */
  found: Record<'bareUpdate' | 'signOfLife' | 'bareUpdateAndInsert' | 'progress', number[]>
  signOfLifeShare: number
  progressShare: number
  progressShareOfUpdate: number
}

async function limitOfStatus({ quick, say }: Context): Promise<LimitOfStatus> {
  const pairs = quick ? 3 : 7
  await using lab = await Lab.open()
  const db = openDatabase(lab.postgres.url, 2)
  try {
    const ids = await lab.addVideos(endlessTasks(batch * rounds))
    const batches = Array.from({ length: rounds }, (_, i) => ids.slice(i * batch, (i + 1) * batch))
    const writer = new ReportWriter(db)
    for (const some of batches) await writer.commitClaims('bench', some.map((id) => ({ id, epoch: '1' })))
    await db.$executeRaw`UPDATE "SceneVideo" SET status = 'generating', phase = 'running'`
    await db.$executeRaw`VACUUM ANALYZE`
    let no = 0
    const perSecond = async (act: (some: string[]) => Promise<unknown>) => {
      const spent = () => cpuOfTree(lab.postgres.pid) + process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000
      const from = spent()
      for (const some of batches) await act(some)
      return (batch * rounds * 1000) / (spent() - from)
    }
    const reports = (some: string[], change: Change | null) => {
      no++
      return writer.apply(some.map((id) => ({ id, attempt: 1, epoch: '1', no, change })))
    }
    const kinds = {
      bareUpdate: (some: string[]) => bareUpdate(db, some, ++no),
      signOfLife: (some: string[]) => reports(some, null),
      bareUpdateAndInsert: async (some: string[]) => {
        await bareUpdate(db, some, ++no)
        await bareInsert(db, some, no)
      },
      progress: (some: string[]) => reports(some, running(no % 100)),
    }
    const found: Record<keyof typeof kinds, number[]> = { bareUpdate: [], signOfLife: [], bareUpdateAndInsert: [], progress: [] }
    for (let i = -1; i < pairs; i++) {
      for (const [kind, act] of Object.entries(kinds)) {
        const rate = await perSecond(act)
        if (i >= 0) found[kind as keyof typeof kinds].push(rate)
      }
      await db.$executeRaw`DELETE FROM "Timeline"`
      await db.$executeRaw`VACUUM`
      if (i >= 0) say(`round ${i + 1}/${pairs}: ${Object.entries(found).map(([kind, rates]) => `${kind} ${Math.round(rates.at(-1)!)}/s`).join(', ')}`)
    }
    const share = (a: number[], b: number[]) => median(a.map((rate, i) => rate / b[i]!))
    return { found, signOfLifeShare: share(found.signOfLife, found.bareUpdate), progressShare: share(found.progress, found.bareUpdateAndInsert), progressShareOfUpdate: share(found.progress, found.bareUpdate) }
  } finally {
    await db.$disconnect()
  }
}

const bareUpdate = (db: Database, ids: string[], no: number) => db.$executeRaw`
  UPDATE "SceneVideo" v SET "reportNo" = i.no, "updatedAt" = now(), progress = i.progress, phase = i.phase, version = v.version + 1
  FROM unnest(${ids}::uuid[], ${ids.map(() => no)}::int[], ${ids.map(() => no % 100)}::int[], ${ids.map(() => 'running')}::text[]) AS i(id, no, progress, phase) WHERE v.id = i.id`

const bareInsert = (db: Database, ids: string[], no: number) => db.$executeRaw`
  INSERT INTO "Timeline" ("videoId", version, attempt, kind, event, status, phase, progress, service, snapshot, owed)
  SELECT v.id, v.version, 1, 'progress', 'progress', 'generating', 'running', ${no % 100}::int, 'status', to_jsonb(v) - 'params', true FROM "SceneVideo" v WHERE v.id = ANY(${ids}::uuid[])`

export const limitStatusPart = part<LimitOfStatus>({
  name: 'limit-status', title: 'The limit of recording', run: limitOfStatus,
  seconds: ({ quick }) => 12 + (quick ? 3 : 7) * 3,
  words: ({ found, progressShare, signOfLifeShare }) =>
    `Rows a second of CPU (Postgres and client): progress ${text(median(found.progress))}, ${text(progressShare * 100)} % of bare update and insert (${text(median(found.bareUpdateAndInsert))}); ` +
    `sign of life ${text(median(found.signOfLife))}, ${text(signOfLifeShare * 100)} % of the bare update (${text(median(found.bareUpdate))}). Medians of ${found.progress.length} turns; bar: 80 %.`,
})
