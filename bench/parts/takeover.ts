/**
 * Takeover: two workers share 200 tasks, polled every 5 s; one is killed with SIGKILL. How long
 * until each task is polled again, by the other, at everybody's defaults? The provider keeps its
 * answers back for a while before, so that polls are in hand when their worker dies: at a queue
 * those are the jobs that are lost for a while, the others being nobody's between two polls. Ours
 * owns tasks also between polls: all of the dead one's are taken over alike. The original design is
 * left out: what its only process had in memory is polled by nobody. All at the same time, each
 * with servers of its own: they do next to nothing.
 */
import { sleep } from '#libs/runtime/clock.ts'
import { present, startContestant, type Contestant } from '../lib/contestants.ts'
import { isLeaving } from '../../test/support/ending.ts'
import { Lab } from '../lib/lab.ts'
import { percentile, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import type { NextPolls } from '../lib/provider.ts'
import { endlessTasks } from '../lib/tasks.ts'

const tasks = 200
const settleMs = 8_000
/** More than an interval: by then every task's poll is in hand. */
const holdMs = 6_000

/** Milliseconds from the kill to the next poll; null when later than the cap. */
interface Times {
  count: number
  p50: number | null
  max: number | null
  /** How many were not polled within the cap. */
  missing: number
}

export interface TakeoverRow {
  contestant: Contestant
  capSeconds: number
  inHand: Times
  others: Times
}

function timesOf(tasksOf: number[], next: Map<number, number>): Times {
  const times = tasksOf.map((n) => next.get(n) ?? Infinity)
  const known = (ms: number) => (Number.isFinite(ms) ? ms : null)
  return {
    count: times.length,
    p50: known(percentile(times, 0.5)),
    max: known(percentile(times, 1)),
    missing: times.filter((ms) => ms === Infinity).length,
  }
}

async function one(
  contestant: Contestant,
  capSeconds: number,
  say: (line: string) => void,
): Promise<TakeoverRow> {
  await using lab = await Lab.open()
  await using running = await startContestant(lab, contestant, 2)
  await running.load(endlessTasks(tasks))
  while ((await lab.counts()).seen < tasks) await sleep(200)
  await sleep(settleMs)
  await lab.provider.ask('hold')
  await sleep(holdMs)
  const killedAt = Date.now()
  await running.workers[0]!.kill()
  await lab.provider.ask('mark', killedAt)
  await lab.provider.ask('release')
  for (;;) {
    await sleep(500)
    const { orphans, first } = await lab.provider.ask<NextPolls>('nextPolls')
    const next = new Map(first)
    const elapsed = (Date.now() - killedAt) / 1000
    say(`${contestant}: ${text(elapsed)} s after the kill, ${next.size}/${tasks} polled`)
    if (next.size < tasks && elapsed < capSeconds) continue
    const others = Array.from({ length: tasks }, (_, n) => n).filter((n) => !orphans.includes(n))
    return { contestant, capSeconds, inHand: timesOf(orphans, next), others: timesOf(others, next) }
  }
}

const capOf = ({ quick }: Pick<Context, 'quick'>) => (quick ? 12 : 120)

export const takeoverPart = part<TakeoverRow[]>({
  name: 'takeover',
  title: 'Takeover after kill -9',
  light: true,
  seconds: (context) => 40 + capOf(context),
  async run(context) {
    const able = present(
      (line) => context.warn(line),
      ['reelkeeper', 'bullmq', 'pg-boss', 'graphile-worker'],
    )
    const rows = await Promise.all(
      able.map((contestant) =>
        one(contestant, capOf(context), (line) => context.say(line)).catch((err: unknown) => {
          if (!isLeaving())
            context.warn(
              `${contestant}: takeover not measured: ${(err as Error).message.slice(0, 300)}`,
            )
          return []
        }),
      ),
    )
    return rows.flat()
  },
  words(rows) {
    const seconds = (ms: number | null, cap: number) =>
      ms === null ? `> ${cap}` : text(ms / 1000, 1)
    const cells = ({ count, p50, max, missing }: Times, cap: number) => [
      text(count),
      seconds(p50, cap),
      seconds(max, cap),
      text(missing),
    ]
    return table(
      ['who', 'in hand', 'p50 s', 'max s', 'not yet', 'others', 'p50 s', 'max s', 'not yet'],
      rows.map((row) => [
        row.contestant,
        ...cells(row.inHand, row.capSeconds),
        ...cells(row.others, row.capSeconds),
      ]),
    )
  },
})
