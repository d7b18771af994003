/**
 * What status does with its parts: it commits claims, applies reports, publishes what it committed,
 * and tends what earlier tries left owed.
 */
import type { Bus } from '#libs/bus/bus.ts'
import {
  requeueLostEvents,
  publishEvents,
  publishOwed,
  type LossStore,
  type OutboxStore,
} from '#libs/outbox/outbox.ts'
import { LastPublishedCache } from '#libs/outbox/last-published.ts'
import { serve } from '#libs/bus/rpc.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { Looks } from '#libs/runtime/every.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { streams } from '#libs/bus/streams.ts'
import { claimRequestSchema, claimSubject } from '#libs/scene-video/messages.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { Outbox } from '#libs/store/outbox.ts'
import type { Recovery } from '#libs/store/recovery.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import { applyReports, type ApplyOptions } from './apply-reports.ts'

export interface StatusParts extends Pick<ApplyOptions, 'fates' | 'dead' | 'batchMs' | 'batchMax'> {
  bus: Bus
  clock: Clock
  log: Logger
  writer: InterfaceOf<ReportWriter>
  outbox: InterfaceOf<Outbox> & OutboxStore & LossStore
  recovery: Pick<InterfaceOf<Recovery>, 'highestEpoch'>
  /** Makes the streams that are missing; true when any was. */
  ensureStreams(): Promise<boolean>
  /** Brings the settings of streams that are there up to date. */
  applySettings(): Promise<void>
  /** Makes the bucket of the leases anew. */
  remakeOwnership(): Promise<void>
}

const maintainMs = 2_000
/** While nothing is claimed or published; for the streams, while the connection stands. */
const idleMs = 10_000
/**
 * After this long, whoever published before an outage has said so to Postgres: more than the time a
 * statement may take.
 */
const markTimeoutMs = 20_000

export async function runStatus(
  parts: StatusParts,
): Promise<AsyncDisposable & { isHealthy(): boolean }> {
  const { bus, clock, log, writer, outbox } = parts
  await parts.ensureStreams()
  await parts.applySettings()
  const cache = new LastPublishedCache(bus)

  /**
   * What NATS had acknowledged and has not any more, after its power failed or an older copy of its
   * store was put back.
   */
  const repairAfterOutage = async () => {
    // rule: what NATS has lost is owed again
    const videos = await requeueLostEvents(bus, outbox)
    if (videos)
      log.warn({ videos }, 'NATS has lost events that it had stored; they are published again')
    if (
      BigInt((await bus.stateOf(streams.ownership)).lastSequence) >=
      (await parts.recovery.highestEpoch())
    )
      return
    log.warn('the bucket of the leases has gone back; it is made anew')
    await parts.remakeOwnership()
  }
  let repairDueAt = [0]

  const onError = (err: unknown) => log.warn({ err }, 'streams or outbox not maintained')
  const owedEvents = new Looks({ clock, everyMs: maintainMs, idleMs, onError }, async () => {
    if (!bus.isConnected()) return true
    const owed = await outbox.overdue(maintainMs, 1_000)
    // rule: owed events are found again
    if (owed.length) await publishOwed(bus, outbox, owed)
    return owed.length > 0
  })
  const streamsKept = new Looks({ clock, everyMs: maintainMs, idleMs, onError }, async () => {
    if (!bus.isConnected()) return true
    if (await parts.ensureStreams()) log.warn('streams were missing and have been made anew')
    if (clock.now() >= (repairDueAt[0] ?? Infinity)) {
      const due = repairDueAt
      await repairAfterOutage()
      owedEvents.wake()
      due.shift()
      if (repairDueAt.length === 0) cache.streamIsWhole()
    }
    return repairDueAt.length > 0
  })
  bus.onReconnect(() => {
    repairDueAt = [clock.now(), clock.now() + markTimeoutMs]
    streamsKept.wake()
  })

  const claims = serve(
    bus,
    { subject: claimSubject, queue: 'status', schema: claimRequestSchema, log },
    async ({ session, bids }) => {
      owedEvents.wake()
      const claimed = await writer.commitClaims(session, bids)
      crashPoint('claim-committed')
      return claimed
    },
  )
  const reports = applyReports({
    ...parts,
    publish: (events) => {
      owedEvents.wake()
      return publishEvents(bus, outbox, events, cache)
    },
  })
  return {
    isHealthy: () => reports.isHealthy(),
    async [Symbol.asyncDispose]() {
      await claims.stop()
      await reports[Symbol.asyncDispose]()
      await Promise.all([streamsKept, owedEvents].map((one) => one[Symbol.asyncDispose]()))
    },
  }
}
