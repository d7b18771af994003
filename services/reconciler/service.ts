/**
 * reconciler, at start and every interval: whatever stopped on its way is put back at the step
 * where it stopped.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import type { ReconcilerConfig } from './config.ts'
import { runReconciler } from './reconciler.ts'

export async function startReconciler(config: ReconcilerConfig): Promise<Service> {
  const log = createLogger('reconciler', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'reconciler', log })
  const db = openDatabase(config.DATABASE_URL, 3)
  const metrics = new Metrics()
  const found = metrics.counter('reconciled_total', 'Things found and handed back, by kind', [
    'kind',
  ])
  await waitForTopology(bus, log)
  const reconciler = runReconciler({
    bus,
    log,
    recovery: new Recovery(db),
    outbox: new Outbox(db),
    clock: systemClock,
    staleAfterMs: config.STALE_AFTER_MS,
    intervalMs: config.RECONCILE_INTERVAL_MS,
    count: (report) => {
      for (const [kind, count] of Object.entries(report)) found.inc({ kind }, count)
    },
  })
  const health = await startHealthServer({
    port: config.HEALTH_PORT,
    host: config.HEALTH_HOST,
    metrics,
    checks: { nats: () => bus.isConnected(), postgres: () => isReachable(db) },
  })
  log.info({ healthPort: health.port }, 'reconciler started')

  return createService('reconciler', async () => {
    await reconciler[Symbol.asyncDispose]()
    await bus.drain()
    await Promise.all([db.$disconnect(), health[Symbol.asyncDispose]()])
  })
}
