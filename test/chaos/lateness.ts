/**
 * How late each promise was kept while faults went on, from instants that servers wrote down. Time
 * in which a server or the provider was away itself does not count.
 */
import type { Audit, Evidence } from './evidence.ts'
import { percentile } from './polling.ts'
import type { Users } from './users.ts'

export type Kind = 'create' | 'record' | 'event' | 'cancel' | 'deadline'

/** From when to when, Unix ms. */
export type Span = readonly [number, number]

/** One promise, and how many ms after it was due it was kept. */
export interface Kept {
  kind: Kind
  tenant: string
  id: string
  ms: number
}

/** Ms, by kind. */
export type Bounds = Record<Kind, number>

const isEnd = ({ status }: Audit) => status === 'completed' || status === 'failed'

export function promisesKept(evidence: Evidence, users: Users[], away: Span[]): Kept[] {
  const { rows, audits, tasks, events } = evidence
  const clear = clearOf(away)
  const byVideo = Map.groupBy(audits, (audit) => audit.id)
  const storedAt = new Map(events.map((event) => [`${event.id}:${event.version}`, event.at]))
  const tasksOf = Map.groupBy(tasks, (task) => task.client_business_id.slice(0, 36))
  const of = new Map(users.map((one) => [one.tenant.demo.userId, one]))
  return rows.flatMap((row) => {
    const own = of.get(row.userId)
    if (!own) return []
    const { name: tenant } = own.tenant
    const changes = byVideo.get(row.id) ?? []
    const kept = (kind: Kind, due: number, done: number | undefined): Kept[] =>
      done === undefined ? [] : [{ kind, tenant, id: row.id, ms: clear(due, done) }]
    const endOf = (attempt: number) =>
      changes.find((change) => change.attempt === attempt && isEnd(change))
    const beganAt = (attempt: number) => changes.find((change) => change.attempt === attempt)?.at
    const byAttempt = Map.groupBy(tasksOf.get(row.id) ?? [], attemptOf)
    const cancelled = own.cancelled.get(row.id)
    const cancelEnd = cancelled && endOf(cancelled.attempt)?.at
    return [
      ...changes
        .filter((change, i) => change.version > (changes[i - 1]?.version ?? 0))
        .flatMap((change) => kept('event', change.at, storedAt.get(`${row.id}:${change.version}`))),
      ...[...byAttempt].flatMap(([attempt, [task]]) => {
        const end = endOf(attempt)
        const began = beganAt(attempt)
        const created = Date.parse(task!.created_at)
        const finished = task!.finished_at === null ? Infinity : Date.parse(task!.finished_at)
        return [
          ...(began === undefined ? [] : kept('create', began, created)),
          // an end before the provider's was a cancel's or a deadline's
          ...(end && end.at >= finished ? kept('record', finished, end.at) : []),
        ]
      }),
      ...(cancelled ? kept('cancel', cancelled.at, cancelEnd) : []),
      ...Array.from({ length: row.deadlineSeconds === null ? 0 : row.attempt }, (_, i) => {
        const due = (beganAt(i + 1) ?? Infinity) + row.deadlineSeconds! * 1_000
        const end = endOf(i + 1)
        return end && end.at > due ? kept('deadline', due, end.at) : []
      }).flat(),
    ]
  })
}

const attemptOf = (task: { client_business_id: string }) =>
  Number(task.client_business_id.slice(37))

/** How much of the time between two instants nothing was away. */
function clearOf(away: Span[]): (from: number, to: number) => number {
  const sorted = away.toSorted(([a], [b]) => a - b)
  return (from, to) => {
    let counted = from
    let ms = 0
    for (const [begin, end] of sorted) {
      if (end <= counted) continue
      if (begin >= to) break
      ms += Math.max(0, begin - counted)
      counted = Math.min(to, end)
    }
    return Math.max(0, ms + to - counted)
  }
}

/** Lines for a table: by tenant and kind the half, 99 of 100, and the latest. */
export function latenessTable(all: Kept[]): [string, string][] {
  const groups = Map.groupBy(all, ({ tenant, kind }) => `${tenant}: ${kind}`)
  return [...groups]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([name, list]) => {
      const ms = list.map((one) => one.ms)
      const [half, most99, most] = [0.5, 0.99, 1].map((share) =>
        (percentile(ms, share) / 1_000).toFixed(1),
      )
      return [`late, s, ${name}`, `p50 ${half}, p99 ${most99}, most ${most} of ${list.length}`]
    })
}

export const tooLate = (all: Kept[], bounds: Record<string, Bounds>): string[] =>
  all
    .filter(({ kind, tenant, ms }) => ms > bounds[tenant]![kind])
    .map(({ kind, tenant, id, ms }) => `${tenant}: ${kind} of ${id} ${Math.round(ms)} ms late`)
