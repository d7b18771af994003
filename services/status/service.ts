/**
 * status owns the recorded truth: it commits claims and applies reports, then publishes what it committed. It also makes the
 * streams, at start and again whenever the NATS store has lost them.
 *
 * Killed before a commit: the reports are delivered again. Killed after: they are refused as stale, and the events they
 * caused are still owed and published then.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { publishOwed } from '#libs/bus/outbox.ts'
import { serve } from '#libs/bus/rpc.ts'
import { ensureTopology } from '#libs/bus/topology.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { claimRequestSchema, claimSubject } from '#libs/scene-video/messages.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import type { StatusConfig } from './config.ts'
import { applyReports } from './apply-reports.ts'

export async function startStatus(config: StatusConfig): Promise<Service> {
  const log = createLogger('status', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'status', log })
  const db = openDatabase(config.DATABASE_URL, 6)
  const outbox = new Outbox(db)
  const recovery = new Recovery(db)
  const writer = new ReportWriter(db)
  const metrics = new Metrics()
  const fates = metrics.counter('reports_total', 'Reports by fate', ['fate'])
  const stop = new AbortController()

  const ensure = () => ensureTopology(bus, () => recovery.raiseGeneration(), config.EVENT_DAYS)
  await ensure()
  const publish = (ids: string[] | null) => publishOwed(bus, outbox, ids)

  /** Streams back if lost, and events that earlier tries left owed. */
  const tend = async () => {
    while (!stop.signal.aborted) {
      await sleep(2_000, stop.signal)
      if (stop.signal.aborted || !bus.isConnected()) continue
      try {
        if (await ensure()) log.warn('streams were missing and have been made anew')
        const owed = await outbox.overdue(2_000, 1_000)
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
  const reports = applyReports({ bus, writer, publish, log, fates, batchMs: config.BATCH_MS, batchMax: config.BATCH_MAX })
  const health = await startHealthServer({
    port: config.HEALTH_PORT, host: config.HEALTH_HOST, metrics,
    checks: { nats: () => bus.isConnected(), postgres: () => isReachable(db), reports: () => reports.isHealthy() },
  })
  log.info({ healthPort: health.port }, 'status started')

  return createService('status', async () => {
    stop.abort()
    await claims.stop()
    await reports[Symbol.asyncDispose]()
    await tending
    await bus.drain()
    await Promise.all([db.$disconnect(), health[Symbol.asyncDispose]()])
  })
}
