/**
 * Holds what was recorded, published and charged against the laws. Every breach is a line that
 * names the video.
 */
import type { Audit, Charge, Entry, Evidence, Row, StoredEvent } from './evidence.ts'

export interface Verdict {
  videos: number
  ended: number
  creates: number
  secondCreates: string[]
  lost: string[]
  stuck: string[]
  wrong: string[]
  staleEffects: string[]
  eventOrder: string[]
}

export interface Promises {
  /** Ids that got a 202. */
  accepted: Iterable<string>
  /**
   * The NATS store was lost, or Postgres went back: events of before may be missing in the stream.
   */
  historyLost: boolean
}

export function judge(evidence: Evidence, promises: Promises): Verdict {
  const { rows, audits, entries, tasks, events } = evidence
  const known = new Set(rows.map((row) => row.id))
  const accepted = [...promises.accepted]
  return {
    videos: accepted.length,
    ended: rows.filter(isEnded).length,
    creates: tasks.length,
    secondCreates: secondCreates(tasks),
    lost: accepted.filter((id) => !known.has(id)),
    stuck: rows
      .filter((row) => !isEnded(row))
      .map(
        (row) =>
          `${row.id} is ${row.status}, ${row.phase}, attempt ${row.attempt}, task ${row.taskId}`,
      ),
    wrong: wrongOutcomes(rows, tasks),
    staleEffects: staleEffects(audits, entries),
    eventOrder: eventOrder(entries, events, promises.historyLost),
  }
}

const isEnded = (row: Row) => row.status === 'completed' || row.status === 'failed'

/** Under one own id, or in a later attempt while an earlier one could still deliver. */
export function secondCreates(tasks: Charge[]): string[] {
  const byOwnId = Map.groupBy(tasks, (task) => task.client_business_id)
  const doubles = [...byOwnId]
    .filter(([, charges]) => charges.length > 1)
    .map(([ownId, charges]) => `${ownId} was accepted ${charges.length} times`)
  const again = [
    ...Map.groupBy(tasks, (task) => task.client_business_id.slice(0, 36)).values(),
  ].flatMap((charges) => {
    const inOrder = charges.toSorted((a, b) => a.created_at.localeCompare(b.created_at))
    return inOrder.flatMap((charge, i) =>
      inOrder
        .slice(0, i)
        .filter(
          (earlier) =>
            earlier.client_business_id !== charge.client_business_id &&
            !(earlier.status === 'failed' && earlier.finished_at! <= charge.created_at),
        )
        .map(
          (earlier) =>
            `${charge.client_business_id} was accepted while ${earlier.client_business_id} could still deliver`,
        ),
    )
  })
  return [...doubles, ...again]
}

function wrongOutcomes(rows: Row[], tasks: Charge[]): string[] {
  const byTask = new Map(tasks.map((task) => [task.task_id, task]))
  return rows.flatMap((row) => {
    const task = row.taskId === null ? undefined : byTask.get(row.taskId)
    const said = task?.status
    if (task && task.client_business_id.slice(0, 36) !== row.id)
      return [`${row.id} has task ${row.taskId}, which is ${task.client_business_id}'s`]
    if (row.status === 'completed' && said !== 'completed')
      return [`${row.id} completed, its task ${row.taskId} is ${said}`]
    if (row.status === 'completed' && !row.videoUrl?.includes(`/${row.taskId}.mp4`))
      return [`${row.id} has the result ${row.videoUrl}, its task is ${row.taskId}`]
    if (row.status === 'failed' && row.errorCode === 'provider_failed' && said !== 'failed')
      return [`${row.id} failed as the provider's, its task ${row.taskId} is ${said}`]
    return []
  })
}

const order: Record<string, number> = { pending: 0, generating: 1, completed: 2, failed: 2 }

/** Changes that go back in any respect, and entries caused by another epoch than the row's. */
function staleEffects(audits: Audit[], entries: Entry[]): string[] {
  const found: string[] = []
  const epochAt = new Map<string, string>()
  for (const [id, changes] of Map.groupBy(audits, (one) => one.id)) {
    for (const [i, now] of changes.entries()) {
      const before = changes[i - 1]
      if (!before || now.version > before.version)
        for (let v = (before?.version ?? 0) + 1; v <= now.version; v++)
          epochAt.set(`${id}:${v}`, now.epoch)
      if (!before) continue
      const isRetry =
        before.status === 'failed' && now.status === 'pending' && now.attempt === before.attempt + 1
      if (BigInt(now.epoch) < BigInt(before.epoch))
        found.push(`${id} goes back from epoch ${before.epoch} to ${now.epoch}`)
      if (now.epoch === before.epoch && now.reportNo < before.reportNo)
        found.push(`${id} goes back from report ${before.reportNo} to ${now.reportNo}`)
      if (now.version < before.version)
        found.push(`${id} goes back from version ${before.version} to ${now.version}`)
      if (
        !isRetry &&
        (now.attempt !== before.attempt ||
          order[now.status]! < order[before.status]! ||
          (order[before.status] === 2 && now.status !== before.status))
      )
        found.push(`${id} goes from ${before.status} to ${now.status}`)
    }
  }
  for (const { videoId, version, epoch, event } of entries) {
    if (event === null) continue // it raised no version: an unknown word, noted at any time
    const current = epochAt.get(`${videoId}:${version}`)
    if (epoch !== null && current !== undefined && epoch !== current)
      found.push(
        `version ${version} of ${videoId} was caused by epoch ${epoch}, its owner had ${current}`,
      )
  }
  return found
}

/**
 * The stream against the timeline: each version once, in order, with one end an attempt, and none
 * missing.
 */
function eventOrder(entries: Entry[], events: StoredEvent[], historyLost: boolean): string[] {
  const found: string[] = []
  const stored = Map.groupBy(events, (event) => event.id)
  for (const [id, all] of Map.groupBy(
    entries.filter((entry) => entry.event !== null),
    (entry) => entry.videoId,
  )) {
    const own = stored.get(id) ?? []
    for (const [i, event] of own.entries())
      if (i > 0 && event.version <= own[i - 1]!.version)
        found.push(`${id}:${event.version} is stored after ${own[i - 1]!.version}`)
    const ends = all.filter((entry) => entry.event === 'completed' || entry.event === 'failed')
    for (const [attempt, list] of Map.groupBy(ends, (entry) => entry.attempt))
      if (list.length > 1) found.push(`${id} ends ${list.length} times in attempt ${attempt}`)
    if (all.some((entry) => entry.owed)) found.push(`${id} has an event that is never published`)
    const have = new Map(own.map((event) => [event.version, event.event]))
    for (const { version, event } of all) {
      if (have.has(version) ? have.get(version) !== event : !historyLost)
        found.push(
          `${id}:${version} is ${have.get(version) ?? 'missing'} in the stream, ${event} in the record`,
        )
    }
  }
  return found
}
