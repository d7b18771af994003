/**
 * status owns the recorded truth: it commits claims and applies reports, then publishes what it
 * committed. It also makes the streams, at start and again whenever the NATS store has lost them.
 *
 * Killed before a commit: the reports are delivered again. Killed after: they are refused as stale,
 * and the events they caused are still owed and published then.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { applySettings, ensureTopology, remakeOwnership } from '#libs/bus/topology.ts'
import { bootMs, systemClock } from '#libs/runtime/clock.ts'
import { deadLetters } from '#libs/runtime/metrics.ts'
import { startService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase, waitForDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { ReportWriter } from '#libs/store/reports.ts'
import type { StatusConfig } from './config.ts'
import { runStatus } from './status.ts'

/** Streams are looked for more often than their consumers. */
const consumersEveryMs = 30_000

export function startStatus(config: StatusConfig, signal?: AbortSignal): Promise<Service> {
  return startService({ name: 'status', config, signal }, async (skeleton) => {
    const { log, metrics, checks, stack } = skeleton
    const bus = stack.adopt(
      await connectBus({ config, user: 'status', name: 'status', log, signal: skeleton.signal }),
      (one) => one.drain(),
    )
    checks['nats'] = () => bus.isConnected()
    const db = stack.adopt(openDatabase(config.DATABASE_URL, 6), (one) => one.$disconnect())
    checks['postgres'] = () => isReachable(db)
    await waitForDatabase(db, log, skeleton.signal)
    const recovery = new Recovery(db)
    const raiseGeneration = () => recovery.raiseGeneration()
    let consumersDueAt = -Infinity
    const areConsumersDue = () => {
      if (bootMs() < consumersDueAt) return false
      consumersDueAt = bootMs() + consumersEveryMs
      return true
    }
    const settings = { eventDays: config.EVENT_DAYS, replicas: config.NATS_REPLICAS }
    const status = stack.use(
      await runStatus({
        bus,
        clock: systemClock,
        log,
        writer: new ReportWriter(db),
        outbox: new Outbox(db),
        recovery,
        ensureStreams: () => ensureTopology(bus, settings, raiseGeneration, areConsumersDue()),
        applySettings: () => applySettings(bus, settings),
        remakeOwnership: () => remakeOwnership(bus, settings, raiseGeneration),
        fates: metrics.counter('reports_total', 'Reports by fate', ['fate']),
        dead: deadLetters(metrics),
        batchMs: config.BATCH_MS,
        batchMax: config.BATCH_MAX,
      }),
    )
    checks['reports'] = () => status.isHealthy()
    return {}
  })
}
