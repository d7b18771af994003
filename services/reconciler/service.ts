/** reconciler, at start and every interval: whatever stopped on its way is put back at the step where it stopped. */
import { connectBus } from '#libs/bus/connect.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import type { ReconcilerConfig } from './config.ts'
import { reconcile } from './reconcile.ts'

export async function startReconciler(config: ReconcilerConfig): Promise<Service> {
  const log = createLogger('reconciler', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'reconciler', log })
  const db = openDatabase(config.DATABASE_URL, 3)
  const metrics = new Metrics()
  const found = metrics.counter('reconciled_total', 'Things found and handed back, by kind', ['kind'])
  const stop = new AbortController()
  await waitForTopology(bus, log)

  const run = async () => {
    for (let first = true; !stop.signal.aborted; first = false) {
      try {
        const report = await reconcile({ bus, recovery: new Recovery(db), outbox: new Outbox(db), log, staleAfterMs: config.STALE_AFTER_MS, first })
        for (const [kind, count] of Object.entries(report)) found.inc({ kind }, count)
        log.info(report, first ? 'Reconciled at start' : 'Reconciled')
      } catch (err) {
        log.warn({ err: (err as Error).message }, 'reconciling failed, trying again soon')
        await sleep(Math.min(2_000, config.RECONCILE_INTERVAL_MS), stop.signal)
        continue
      }
      await sleep(config.RECONCILE_INTERVAL_MS, stop.signal)
    }
  }
  const running = run()
  const health = await startHealthServer({
    port: config.HEALTH_PORT, host: config.HEALTH_HOST, metrics,
    checks: { nats: () => bus.isConnected(), postgres: () => isReachable(db) },
  })
  log.info({ healthPort: health.port }, 'reconciler started')

  return createService('reconciler', async () => {
    stop.abort()
    await running
    await bus.drain()
    await Promise.all([db.$disconnect(), health[Symbol.asyncDispose]()])
  })
}
