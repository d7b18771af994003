/**
 * status owns the recorded truth: it commits claims and applies reports, then publishes what it
 * committed. It also makes the streams, at start and again whenever the NATS store has lost them.
 *
 * Killed before a commit: the reports are delivered again. Killed after: they are refused as stale,
 * and the events they caused are still owed and published then.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { ensureTopology, remakeOwnership } from '#libs/bus/topology.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { deadLetters, Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import type { StatusConfig } from './config.ts'
import { runStatus } from './status.ts'

export async function startStatus(config: StatusConfig): Promise<Service> {
  const log = createLogger('status', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'status', log })
  const db = openDatabase(config.DATABASE_URL, 6)
  const recovery = new Recovery(db)
  const metrics = new Metrics()
  const status = await runStatus({
    bus,
    clock: systemClock,
    log,
    writer: new ReportWriter(db),
    outbox: new Outbox(db),
    recovery,
    ensureStreams: () => ensureTopology(bus, () => recovery.raiseGeneration(), config.EVENT_DAYS),
    remakeOwnership: () => remakeOwnership(bus, () => recovery.raiseGeneration()),
    fates: metrics.counter('reports_total', 'Reports by fate', ['fate']),
    dead: deadLetters(metrics),
    batchMs: config.BATCH_MS,
    batchMax: config.BATCH_MAX,
  })
  const health = await startHealthServer({
    port: config.HEALTH_PORT,
    host: config.HEALTH_HOST,
    metrics,
    checks: {
      nats: () => bus.isConnected(),
      postgres: () => isReachable(db),
      reports: () => status.isHealthy(),
    },
  })
  log.info({ healthPort: health.port }, 'status started')

  return createService('status', async () => {
    await status[Symbol.asyncDispose]()
    await bus.drain()
    await Promise.all([db.$disconnect(), health[Symbol.asyncDispose]()])
  })
}
