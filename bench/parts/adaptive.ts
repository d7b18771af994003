/**
 * The adaptive interval: the same tasks with it and without, at the same time, with servers of
 * their own. How many calls are saved, and how much later is an end told?
 */
import { sleep } from '#libs/runtime/clock.ts'
import { startContestant } from '../lib/contestants.ts'
import { Lab } from '../lib/lab.ts'
import { Sample, table, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { parseTask, taskId } from '../lib/tasks.ts'

export interface AdaptiveRow {
  adaptive: boolean
  videos: number
  intervalMs: number
  calls: number
  told: number
  /** Milliseconds from the end at the provider. */
  toldP50: number
  toldP99: number
}

/**
 * Each waits for 10–30 s and then runs for 60–90 s, both independent of each other; progress in
 * steps of 5 %. All of it shortened by `scale`, as is the interval.
 */
const tasksOf = (count: number, scale: number): string[] =>
  Array.from({ length: count }, (_, n) => {
    const runsAt = 10_000 + (20_000 * n) / count
    const runs = 60_000 + (30_000 * ((n * 7) % count)) / count
    return taskId(runsAt * scale, (runsAt + runs) * scale, 5, n)
  })
const longestMs = 120_000

async function one(
  adaptive: boolean,
  count: number,
  scale: number,
  say: (line: string) => void,
): Promise<AdaptiveRow> {
  const intervalMs = Math.round(5_000 * scale)
  await using lab = await Lab.open({
    POLL_INTERVAL_MS: String(intervalMs),
    POLL_ADAPTIVE: String(adaptive),
  })
  await using running = await startContestant(lab, 'reelkeeper')
  const told = new Sample()
  let ended = 0
  let beganAt = 0
  await running.onEnd((id) => {
    ended++
    told.add(Date.now() - beganAt - parseTask(id).endsAt)
  })
  beganAt = await lab.begin()
  await running.load(tasksOf(count, scale))
  const end = performance.now() + (longestMs + 30_000) * scale + 30_000
  while (ended < count && performance.now() < end) {
    say(`${adaptive ? 'with' : 'without'}: ${ended}/${count} ended`)
    await sleep(500)
  }
  const { p50, p99, count: all } = told.take()
  return {
    adaptive,
    videos: count,
    intervalMs,
    calls: (await lab.counts()).calls,
    told: all,
    toldP50: p50,
    toldP99: p99,
  }
}

const plan = ({ quick }: Pick<Context, 'quick'>) =>
  quick ? { count: 300, scale: 0.25 } : { count: 1_000, scale: 1 }

export const adaptivePart = part<AdaptiveRow[]>({
  name: 'adaptive',
  title: 'The adaptive interval',
  light: true,
  seconds: (context) => 25 + (plan(context).scale * longestMs) / 1000,
  run(context) {
    const { count, scale } = plan(context)
    return Promise.all(
      [false, true].map((adaptive) => one(adaptive, count, scale, (line) => context.say(line))),
    )
  },
  words(rows) {
    const [off, on] = rows as [AdaptiveRow, AdaptiveRow]
    const lines = rows.map((row) => [
      row.adaptive ? 'adaptive' : 'fixed',
      text(row.intervalMs / 1000, 2),
      text(row.calls / row.videos, 1),
      `${text(row.told)}/${text(row.videos)}`,
      text(row.toldP50),
      text(row.toldP99),
    ])
    return `${table(['interval', 's', 'calls a video', 'told', 'told after p50 ms', 'p99 ms'], lines)}\n\nCalls × ${text(on.calls / off.calls, 2)}, delay p50 × ${text(on.toldP50 / off.toldP50, 2)}, p99 × ${text(on.toldP99 / off.toldP99, 2)}.`
  },
})
