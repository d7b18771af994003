/** What status does with its parts: it commits claims, applies reports, publishes what it committed, and tends what earlier tries left owed. */
import type { Bus } from '#libs/bus/bus.ts'
import { publishOwed, type OutboxStore } from '#libs/bus/outbox.ts'
import { serve } from '#libs/bus/rpc.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import { claimRequestSchema, claimSubject } from '#libs/scene-video/messages.ts'
import type { Public } from '#libs/store/connect.ts'
import type { Outbox } from '#libs/store/outbox.ts'
import type { ReportWriter } from '#libs/store/reports.ts'
import { applyReports, type ApplyOptions } from './apply-reports.ts'

export interface StatusParts extends Pick<ApplyOptions, 'fates' | 'dead' | 'batchMs' | 'batchMax'> {
  bus: Bus
  clock: Clock
  log: Logger
  writer: Public<ReportWriter>
  outbox: Public<Outbox> & OutboxStore
  /** Makes the streams that are missing; true when any was. */
  ensureStreams(): Promise<boolean>
}

const tendMs = 2_000

export async function runStatus(parts: StatusParts): Promise<AsyncDisposable & { isHealthy(): boolean }> {
  const { bus, clock, log, writer, outbox } = parts
  const stop = new AbortController()
  await parts.ensureStreams()
  const publish = (ids: string[]) => publishOwed(bus, outbox, ids)

  const tend = async () => {
    while (!stop.signal.aborted) {
      await sleep(tendMs, stop.signal, clock)
      if (stop.signal.aborted || !bus.isConnected()) continue
      try {
        if (await parts.ensureStreams()) log.warn('streams were missing and have been made anew')
        const owed = await outbox.overdue(tendMs, 1_000)
        if (owed.length) await publish(owed)
      } catch (err) {
        log.warn({ err: (err as Error).message }, 'streams or outbox not tended')
      }
    }
  }
  const tending = tend()

  const claims = serve(bus, { subject: claimSubject, queue: 'status', schema: claimRequestSchema, log }, async ({ session, bids }) => {
    const grants = await writer.commitClaims(session, bids)
    crashPoint('claim-committed')
    return { grants }
  })
  const reports = applyReports({ ...parts, publish })
  return {
    isHealthy: () => reports.isHealthy(),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await claims.stop()
      await reports[Symbol.asyncDispose]()
      await tending
    },
  }
}
