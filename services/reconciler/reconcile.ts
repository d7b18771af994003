/**
 * One pass. It decides no outcome: it queues work that is refused when already queued, asks the
 * owner of a stale video whether it has it in hand and takes the video from one that has not, and
 * publishes what was committed; all of it may be repeated.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { publishOwed, type OutboxStore } from '#libs/outbox/outbox.ts'
import {
  ownerRecords,
  removeDeadSession,
  revoke,
  sessionStates,
  type OwnerRecord,
} from '#libs/ownership/records.ts'
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
import { hostedOf } from './ask-owners.ts'

export interface ReconcileOptions {
  bus: Bus
  recovery: InterfaceOf<Recovery>
  outbox: InterfaceOf<Outbox> & OutboxStore
  log: Logger
  staleAfterMs: number
  /** The longest that any provider keeps results. */
  resultLifeMs: number
  /** What published events carried is kept as long as the stream keeps them, and a day more. */
  eventDays: number
  /** Up to where in the timeline old snapshots are forgotten; this pass moves it. */
  forgotten: { after: bigint }
  first: boolean
  /** Videos that were stale in the last pass, with the epoch they had; this pass writes its own. */
  suspects: Map<string, bigint>
}

/** What was found, by kind. */
export interface Found extends Record<string, number> {
  pending: number
  unowned: number
  /** Untouched for too long, and nobody says that it has them in hand. */
  stale: number
  /** Untouched for too long, but their owner has them in hand. */
  waiting: number
  /** Owned by a dead session. */
  orphans: number
  /** Owner records of videos that had ended. */
  ended: number
  events: number
  unsettled: number
}

const eventsOverdueMs = 5_000
/** submit looks for due videos every second. */
const pendingOverdueMs = 15_000
/** Requests to NATS. */
const atOnce = 200

export async function reconcile(options: ReconcileOptions): Promise<Found> {
  const { bus, recovery, outbox, log, first } = options
  const owned = await ownerRecords(bus)
  const sessions = await sessionStates(bus)
  const isAlive = (session: string) => ['live', 'draining'].includes(sessions.get(session) ?? '')
  const ownedAlive = new Set(
    owned.filter((record) => isAlive(record.session)).map((record) => record.videoId),
  )

  const pending = await recovery.pendingVideos(first ? 0 : pendingOverdueMs)
  // rule: the reconciler hands back what stopped
  await eachLimited(pending, atOnce, (id) => publishWork(bus, submitWorkSubject(id), { id }))

  const unowned = (await recovery.videosWithOpenTask()).filter((id) => !ownedAlive.has(id))
  if (first)
    log.info({ count: unowned.length }, `Found ${unowned.length} unfinished tasks to recover`)
  // rule: the reconciler finds what nobody owns
  await eachLimited(unowned, atOnce, (id) => publishWork(bus, pollWorkSubject(id), { id }))

  crashPoint('mid-reconcile')
  const { stale, waiting } = await recoverStale(options, owned, isAlive)
  const ended = await removeEnded(options, owned)
  const left = owned.filter((record) => !ended.has(record.videoId))
  const inUse = new Set(left.map((record) => record.session))
  await eachLimited(
    [...sessions.keys()].filter((id) => !isAlive(id) && !inUse.has(id)),
    atOnce,
    (id) => removeDeadSession(bus, id),
  )

  const overdue = await outbox.overdue(eventsOverdueMs, 10_000)
  // rule: owed events are found again, second
  const events = overdue.length ? await publishOwed(bus, outbox, overdue) : 0

  const unsettled = await recovery.unsettledVideos(options.resultLifeMs)
  await eachLimited(unsettled, atOnce, (id) => publishWork(bus, settleWorkSubject(id), { id }))
  await recovery.forgetOldKeys()
  await forgetOldSnapshots(options)
  return {
    pending: pending.length,
    unowned: unowned.length,
    stale,
    waiting,
    orphans: left.filter((record) => !isAlive(record.session)).length,
    ended: ended.size,
    events,
    unsettled: unsettled.length,
  }
}

/**
 * Videos that nobody has recorded anything of. Who has one in hand says so when asked. A video that
 * nobody has in hand is queued for whoever takes it; when it is found so in two passes, it is taken
 * from the owner that its record names.
 */
async function recoverStale(
  { bus, recovery, log, staleAfterMs, suspects }: ReconcileOptions,
  owned: OwnerRecord[],
  isAlive: (session: string) => boolean,
): Promise<{ stale: number; waiting: number }> {
  // rule: the reconciler finds what nobody owns, second
  const stale = await recovery.staleVideos(staleAfterMs)
  const ids = new Set(stale.map((video) => video.id))
  const owners = new Map(
    owned.filter((record) => ids.has(record.videoId)).map((record) => [record.videoId, record]),
  )
  const alive = [...owners.values()].filter((record) => isAlive(record.session))
  const hosted = await hostedOf(bus, alive, log)
  // rule: a live owner is asked before it loses a video
  const stuck = stale.filter((video) => !hosted.has(video.id))
  if (stuck.length) log.warn({ count: stuck.length }, `Found ${stuck.length} stuck tasks`)
  await eachLimited(stuck, atOnce, async ({ id, taskId, epoch }) => {
    log.warn({ video: id, taskId }, `Restarting polling for stuck task ${id} (taskId: ${taskId})`)
    const owner = owners.get(id)
    // rule: a video that its owner does not host is taken from it
    // rule: nothing is taken from an owner at the first look
    if (owner && suspects.get(id) === epoch) {
      const revoked = owner.revision.toString()
      bus.publishCore(nudgeSubject(id), { id, reason: 'revoked', epoch: revoked })
      await revoke(bus, owner)
    } else bus.publishCore(nudgeSubject(id), { id, reason: 'stale' })
    await publishWork(bus, pollWorkSubject(id), { id })
  })
  suspects.clear()
  for (const { id, epoch } of stuck) suspects.set(id, epoch)
  return { stale: stuck.length, waiting: stale.length - stuck.length }
}

/** Records of videos that have ended, whose owner did not live to release them. */
async function removeEnded(
  { bus, recovery }: ReconcileOptions,
  owned: OwnerRecord[],
): Promise<Set<string>> {
  const ended = new Set(await recovery.ended(owned.map((record) => record.videoId)))
  // rule: owner records of ended videos are removed
  await eachLimited(
    owned.filter((record) => ended.has(record.videoId)),
    atOnce,
    (record) => revoke(bus, record),
  )
  return ended
}

/** Pages of the timeline that a pass looks at: far more than what is written in between. */
const pagesAPass = 20

async function forgetOldSnapshots(options: ReconcileOptions): Promise<void> {
  const { recovery, eventDays, forgotten } = options
  for (let page = 0; page < pagesAPass; page++) {
    const { after } = await recovery.forgetOldSnapshots(forgotten.after, eventDays + 1)
    if (after === forgotten.after) return
    forgotten.after = after
  }
}
