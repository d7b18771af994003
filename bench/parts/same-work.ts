/**
 * The same work, done in different ways: so many videos in flight, each polled every 5 s until the
 * provider says done, what changed recorded in Postgres, a subscriber told of each end. Each
 * contestant alone, with servers of its own, for the same time. A video takes five minutes and
 * tells its progress in steps of 10 %, or not at all; the videos are of all ages, so that as many
 * end in a second as would where as many come.
 *
 * The tasks' clock starts when every video has been loaded and polled at least once; then comes a
 * time to settle, then the window. Polls are counted by the provider.
 */
import { contestants, present, type Contestant } from '../lib/contestants.ts'
import { isLeaving } from '../../test/support/ending.ts'
import { median, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { bars } from '../lib/picture.ts'
import { measure, rowsKnownAfterMs, type SameWorkRow } from './same-work-window.ts'

/** Fewer of the polls that were due: it cannot keep up. */
const brokeBelow = 0.9

/** Why a contestant has no row, or no larger one. */
interface Broke {
  contestant: Contestant
  videos: number
  why: string
}

/**
 * Of each number of videos the last run that measured it; a run with other numbers adds to what is
 * kept.
 */
export interface SameWork {
  rows: SameWorkRow[]
  broke: Broke[]
}

/** What a form of it measures, where it is not told otherwise. */
interface Form {
  counts: number[]
  /** Of the progress that the provider tells, in per cent. */
  step: number
}

const plan = (
  { counts, step }: Form,
  { quick, options: { videos, runs } }: Pick<Context, 'quick' | 'options'>,
) => ({
  step,
  counts: videos.length ? videos : quick ? [1_000] : counts,
  runs,
  seconds: quick ? 5 : runs > 1 ? 15 : 30,
  settleMs: quick ? 5_000 : rowsKnownAfterMs,
})

const order = <T>(items: readonly T[], run: number): T[] =>
  run % 2 ? [...items].toReversed() : [...items]

async function sameWork(form: Form, context: Context): Promise<SameWork> {
  const planned = plan(form, context)
  const { counts, runs } = planned
  const kept = context.kept as SameWork | null
  const isOther = ({ videos }: { videos: number }) => !context.quick && !counts.includes(videos)
  const found: SameWork = {
    rows: kept?.rows.filter(isOther) ?? [],
    broke: kept?.broke.filter(isOther) ?? [],
  }
  const { who } = context.options
  const able = present(
    (line) => context.warn(line),
    contestants.filter((one) => !who.length || who.includes(one)),
  )
  for (const videos of counts) {
    for (let run = 0; run < runs; run++) {
      for (const contestant of order(able, run)) {
        if (found.broke.some((one) => one.contestant === contestant && one.videos <= videos))
          continue
        const say = (line: string) =>
          context.say(
            `${contestant}, ${text(videos)} videos${runs > 1 ? `, run ${run + 1}/${runs}` : ''}: ${line}`,
          )
        try {
          const row = await measure({ contestant, videos, run }, planned, say)
          found.rows.push(row)
          if (row.made < brokeBelow)
            found.broke.push({
              contestant,
              videos,
              why: `made ${text(row.made * 100)} % of its polls`,
            })
        } catch (err) {
          if (isLeaving()) throw err
          found.broke.push({ contestant, videos, why: (err as Error).message.slice(0, 300) })
        }
      }
    }
  }
  return found
}

const total = (row: SameWorkRow) => row.cpuUsPerPoll + row.serverUsPerPoll

/**
 * Of each contestant at each number the medians over the runs, and how many times our CPU it took,
 * paired by run.
 */
function summary(rows: SameWorkRow[]): (SameWorkRow & { timesOurs: number; runs: number })[] {
  return [...Map.groupBy(rows, (row) => `${row.videos} ${row.contestant}`).values()]
    .map((group) => {
      const of = (
        field: {
          [K in keyof SameWorkRow]: SameWorkRow[K] extends number ? K : never
        }[keyof SameWorkRow],
      ) => median(group.map((row) => row[field]))
      const ratios = group.flatMap((row) => {
        const ours = rows.find(
          (one) =>
            one.contestant === 'reelkeeper' && one.videos === row.videos && one.run === row.run,
        )
        return ours ? [total(row) / total(ours)] : []
      })
      const middle = group.toSorted((a, b) => total(a) - total(b))[group.length >> 1]!
      return {
        ...middle,
        made: of('made'),
        changesPerPoll: of('changesPerPoll'),
        latenessP50: of('latenessP50'),
        latenessP99: of('latenessP99'),
        loopP99: of('loopP99'),
        toldP50: of('toldP50'),
        toldP99: of('toldP99'),
        heapPerVideo: of('heapPerVideo'),
        rssPerVideo: of('rssPerVideo'),
        timesOurs: ratios.length ? median(ratios) : NaN,
        runs: group.length,
      }
    })
    .toSorted(
      (a, b) =>
        a.videos - b.videos ||
        contestants.indexOf(a.contestant) - contestants.indexOf(b.contestant),
    )
}

function words({ rows, broke }: SameWork): string {
  const lines = summary(rows).map((row) => [
    text(row.videos),
    row.contestant,
    `${row.runs} × ${row.seconds} s`,
    text(total(row)),
    text(row.serverUsPerPoll),
    text(row.timesOurs, 1),
    `${text(row.made * 100)} %`,
    text(row.changesPerPoll, 3),
    `${text(row.latenessP50)} / ${text(row.latenessP99)}`,
    `${text(row.toldP50)} / ${text(row.toldP99)}`,
    `${text(row.told)}/${text(row.ends)}`,
    text(row.rows === null ? null : row.rows / row.polls, 2),
    text(row.transactions / row.polls, 2),
    `${text(row.heapPerVideo / 1024, 1)} / ${text(row.rssPerVideo / 1024, 1)}`,
    text(row.loopP99),
  ])
  const split = summary(rows)
    .filter((row) => row.contestant === 'reelkeeper')
    .map(
      (row) =>
        `${text(row.videos)}: ${Object.entries(row.ofIt)
          .map(([name, us]) => `${name} ${text(us)}`)
          .join(', ')}`,
    )
  return [
    table(
      [
        'videos',
        'who',
        'windows',
        'CPU µs/poll',
        'of it servers',
        '× ours',
        'polls made',
        'changes/poll',
        'late p50 / p99 ms',
        'told after p50 / p99 ms',
        'told',
        'rows/poll',
        'writing transactions/poll',
        'heap / RSS a video KB',
        'loop p99 ms',
      ],
      lines,
    ),
    `Ours, CPU µs a poll by process: ${split.join('; ')}.`,
    ...broke.map(
      ({ contestant, videos, why }) => `${contestant} broke at ${text(videos)} videos: ${why}.`,
    ),
  ].join('\n\n')
}

/** At the largest number of videos that most contestants were measured at. */
function picture({ rows }: SameWork): string {
  const all = summary(rows)
  const at = (videos: number) => all.filter((row) => row.videos === videos)
  const videos =
    [...new Set(all.map((row) => row.videos))].toSorted(
      (a, b) => at(b).length - at(a).length || b - a,
    )[0] ?? 0
  return bars(
    `CPU per poll in µs, ${text(videos)} videos polled every 5 s (dark: processes, light: Postgres, NATS, Redis)`,
    at(videos).map((row) => ({
      name: row.contestant,
      dark: row.cpuUsPerPoll,
      light: row.serverUsPerPoll,
    })),
  )
}

const sameWorkAs = (name: string, title: string, form: Form, longOnly = false) =>
  part<SameWork>({
    name,
    title,
    longOnly,
    run: (context) => sameWork(form, context),
    words,
    picture,
    seconds(context) {
      const { counts, runs, seconds, settleMs } = plan(form, context)
      return (
        contestants.length *
        runs *
        counts.reduce((sum, videos) => sum + seconds + settleMs / 1000 + 15 + videos / 300, 0)
      )
    },
  })

export const sameWorkPart = sameWorkAs('same-work', 'The same work', {
  counts: [100, 1_000, 10_000, 20_000, 40_000],
  step: 10,
})
/**
 * The price of a poll by itself: the provider tells no progress, so that of sixty answers one
 * changes something.
 */
export const fewChangesPart = sameWorkAs(
  'few-changes',
  'The same work when little changes',
  { counts: [10_000], step: 100 },
  true,
)
