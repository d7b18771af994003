/** Whether videos are being polled, seen from the provider: the only one who cannot be mistaken. */
import { until } from '../support/system.ts'
import type { Cluster } from './cluster.ts'

interface Seen {
  now: number
  polls: Record<string, { last: number; longestGapMs: number; recent: number[] }>
}
interface Charge {
  task_id: string
  client_business_id: string
  status: string
}

export const pollsSeen = (cluster: Cluster): Promise<Seen> => cluster.simulator<Seen>('/polls')

/**
 * The share of the provider's unfinished tasks that were asked for within the last `ms`. 1 when
 * there are none.
 */
export async function shareOfPolled(cluster: Cluster, ms: number): Promise<number> {
  const [{ now, polls }, { tasks }] = await Promise.all([
    pollsSeen(cluster),
    cluster.simulator<{ tasks: Charge[] }>('/ledger'),
  ])
  const open = tasks.filter((task) => task.status === 'queued' || task.status === 'in_progress')
  return open.length === 0
    ? 1
    : open.filter((task) => (polls[task.task_id]?.last ?? 0) > now - ms).length / open.length
}

/** Seconds until 95 % of the open tasks are polled in their interval again. */
export async function secondsUntilPolled(
  cluster: Cluster,
  intervalMs: number,
  withinMs = 120_000,
): Promise<number> {
  const begun = performance.now()
  await until(
    '95 % of the open tasks to be polled',
    async () => ((await shareOfPolled(cluster, intervalMs * 1.5)) >= 0.95 ? true : undefined),
    withinMs,
  )
  return (performance.now() - begun) / 1000
}

/** The value below which that share of the numbers lies. */
export function percentile(numbers: number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
}

/** Of all tasks, the one that was not polled for the longest. */
export async function longestGap(
  cluster: Cluster,
): Promise<{ longestGapSeconds: number; longestGapTask: string }> {
  const { polls } = await cluster.simulator<{ polls: Record<string, { longestGapMs: number }> }>(
    '/polls',
  )
  const [task, longest] = Object.entries(polls).toSorted(
    ([, a], [, b]) => b.longestGapMs - a.longestGapMs,
  )[0] ?? ['', { longestGapMs: 0 }]
  return { longestGapSeconds: longest.longestGapMs / 1000, longestGapTask: task }
}
