/**
 * One pass. It decides no outcome: it queues work that is refused when already queued, asks the
 * owner of a stale video to act and takes the video from it when that was in vain, and publishes
 * what was committed; all of it may be repeated.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { publishOwed, type OutboxStore } from '#libs/outbox/outbox.ts'
import { ownerRecords, removeDeadSession, revoke, sessionStates } from '#libs/ownership/records.ts'
import { publishWork } from '#libs/bus/work.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { eachLimited } from '#libs/runtime/limited.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import {
  nudgeSubject,
  pollWorkSubject,
  settleWorkSubject,
  submitWorkSubject,
} from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { Outbox } from '#libs/store/outbox.ts'
import type { Recovery } from '#libs/store/recovery.ts'

export interface ReconcileOptions {
  bus: Bus
  recovery: InterfaceOf<Recovery>
  outbox: InterfaceOf<Outbox> & OutboxStore
  log: Logger
  staleAfterMs: number
  first: boolean
  /** Videos that were stale in the last pass, with the epoch they had; this pass writes its own. */
  suspects: Map<string, bigint>
}

/** What was found, by kind. */
export interface Found extends Record<string, number> {
  pending: number
  unowned: number
  stale: number
  orphans: number
  events: number
  unsettled: number
}

const eventsOverdueMs = 5_000
/** Requests to NATS. */
const atOnce = 200

export async function reconcile(options: ReconcileOptions): Promise<Found> {
  const { bus, recovery, outbox, log, staleAfterMs, first, suspects } = options
  const owned = await ownerRecords(bus)
  const sessions = await sessionStates(bus)
  const isAlive = (session: string) => ['live', 'draining'].includes(sessions.get(session) ?? '')
  const ownedAlive = new Set(
    owned.filter((record) => isAlive(record.session)).map((record) => record.videoId),
  )

  const pending = await recovery.pendingVideos(first ? 0 : Math.min(staleAfterMs, 30_000))
  // rule: the reconciler hands back what stopped
  await eachLimited(pending, atOnce, (id) => publishWork(bus, submitWorkSubject(id), { id }))

  const unowned = (await recovery.videosWithOpenTask()).filter((id) => !ownedAlive.has(id))
  if (first)
    log.info({ count: unowned.length }, `Found ${unowned.length} unfinished tasks to recover`)
  // rule: the reconciler finds what nobody owns
  await eachLimited(unowned, atOnce, (id) => publishWork(bus, pollWorkSubject(id), { id }))

  crashPoint('mid-reconcile')
  // rule: the reconciler finds what nobody owns, second
  const stale = await recovery.staleVideos(staleAfterMs)
  if (stale.length) log.warn({ count: stale.length }, `Found ${stale.length} stuck tasks`)
  const owners = new Map(owned.map((record) => [record.videoId, record]))
  await eachLimited(stale, atOnce, async ({ id, taskId, epoch }) => {
    log.warn({ video: id, taskId }, `Restarting polling for stuck task ${id} (taskId: ${taskId})`)
    const owner = owners.get(id)
    if (owner && suspects.get(id) === epoch) {
      bus.publishCore(nudgeSubject(id), { id, reason: 'revoked' })
      await revoke(bus, owner)
    } else bus.publishCore(nudgeSubject(id), { id, reason: 'stale' })
    await publishWork(bus, pollWorkSubject(id), { id })
  })
  suspects.clear()
  for (const { id, epoch } of stale) suspects.set(id, epoch)

  const orphans = owned.filter((record) => !isAlive(record.session))
  const inUse = new Set(owned.map((record) => record.session))
  await eachLimited(
    [...sessions.keys()].filter((id) => !isAlive(id) && !inUse.has(id)),
    atOnce,
    (id) => removeDeadSession(bus, id),
  )

  const overdue = await outbox.overdue(eventsOverdueMs, 10_000)
  // rule: owed events are found again, second
  const events = overdue.length ? await publishOwed(bus, outbox, overdue) : 0

  const unsettled = await recovery.unsettledVideos()
  await eachLimited(unsettled, atOnce, (id) => publishWork(bus, settleWorkSubject(id), { id }))
  await recovery.forgetOldKeys()
  return {
    pending: pending.length,
    unowned: unowned.length,
    stale: stale.length,
    orphans: orphans.length,
    events,
    unsettled: unsettled.length,
  }
}
