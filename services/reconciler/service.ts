/**
 * reconciler, at start and every interval: whatever stopped on its way is put back at the step
 * where it stopped.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { startService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase, waitForDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { FileRemoval } from '#libs/store/file-removal.ts'
import { addUpChanges } from './count-changes.ts'
import { FileRetention } from '#libs/store/file-retention.ts'
import type { ReconcilerConfig } from './config.ts'
import { keepToProjectLimits, removeOldFiles } from './old-files.ts'
import { removeOldAccounts } from './old-accounts.ts'
import { runReconciler } from './reconciler.ts'

/** Of every provider there is: toapis keeps results for a day. */
const resultLifeMs = 24 * 3_600_000

export function startReconciler(config: ReconcilerConfig, signal?: AbortSignal): Promise<Service> {
  return startService({ name: 'reconciler', config, signal }, async (skeleton) => {
    const { log, metrics, checks, stack } = skeleton
    const bus = stack.adopt(
      await connectBus({
        config,
        user: 'reconciler',
        name: 'reconciler',
        log,
        signal: skeleton.signal,
      }),
      (one) => one.drain(),
    )
    checks['nats'] = () => bus.isConnected()
    const db = stack.adopt(openDatabase(config.DATABASE_URL, 3), (one) => one.$disconnect())
    checks['postgres'] = () => isReachable(db)
    const found = metrics.counter('reconciled_total', 'Things found and handed back, by kind', [
      'kind',
    ])
    await waitForDatabase(db, log, skeleton.signal)
    await waitForTopology(bus, log, skeleton.signal)
    stack.use(
      runReconciler({
        bus,
        log,
        recovery: new Recovery(db),
        outbox: new Outbox(db),
        clock: systemClock,
        staleAfterMs: config.STALE_AFTER_MS,
        resultLifeMs,
        eventDays: config.EVENT_DAYS,
        intervalMs: config.RECONCILE_INTERVAL_MS,
        count: (report) => {
          for (const [kind, count] of Object.entries(report)) found.inc({ kind }, count)
        },
      }),
    )
    stack.use(addUpChanges(db, log))
    stack.use(removeOldAccounts(db, log))
    if (config.FILE_DAYS !== undefined)
      stack.use(
        removeOldFiles(new FileRemoval(db), { days: config.FILE_DAYS, clock: systemClock, log }),
      )
    stack.use(keepToProjectLimits(new FileRetention(db), { clock: systemClock, log }))
    return {}
  })
}
