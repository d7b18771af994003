/**
 * submit owns `pending`: it accepts requests, and for each video sends the provider one create per
 * intent.
 *
 * It may die at any step. Accepted rows without work are queued again at start and by the
 * reconciler; an intent without an answer is looked up by own id, never sent again while it may
 * have been accepted.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { publishOwed } from '#libs/outbox/outbox.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { createToapis } from '#libs/provider/toapis.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { deadLetters, Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import type { SubmitConfig } from './config.ts'
import { Absences } from './look-up.ts'
import { runSubmit } from './submit.ts'
import { v7 } from '#libs/runtime/uuid.ts'

export async function startSubmit(config: SubmitConfig): Promise<Service> {
  const log = createLogger('submit', config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: 'submit', log })
  const db = openDatabase(config.DATABASE_URL, 12)
  const outbox = new Outbox(db)
  const provider = createToapis({
    createTimeoutMs: config.CREATE_TIMEOUT_MS,
    getTimeoutMs: 10_000,
    findByOwnId: config.TOAPIS_FIND_BY_OWN_ID,
    trustedBaseUrl: config.TOAPIS_BASE_URL,
    allowPrivate: config.ALLOW_PRIVATE_BASE_URLS,
  })
  const metrics = new Metrics()
  await waitForTopology(bus, log)
  const submit = await runSubmit(
    {
      config,
      log,
      bus,
      provider,
      clock: systemClock,
      store: new SubmissionWriter(db),
      publish: (id) =>
        publishOwed(bus, outbox, [id]).catch((err: unknown) =>
          log.warn({ err: (err as Error).message, video: id }, 'event stays owed'),
        ),
      creates: metrics.counter('creates_total', 'Answers to creates, by meaning', ['answer']),
      lookups: metrics.counter(
        'lookups_total',
        'Answers to look-ups of earlier sends, by meaning',
        ['answer'],
      ),
      late: metrics.counter('late_results_total', 'Results that came after their video had ended', [
        'said',
      ]),
      duplicates: metrics.counter(
        'duplicate_tasks_total',
        'Second tasks of one attempt seen at the provider',
      ),
      dead: deadLetters(metrics),
      throttledUntil: new Map(),
      absences: new Absences(),
    },
    new Recovery(db),
    v7,
  )
  const health = await startHealthServer({
    port: config.HEALTH_PORT,
    host: config.HEALTH_HOST,
    metrics,
    checks: {
      nats: () => bus.isConnected(),
      postgres: () => isReachable(db),
      work: () => submit.isHealthy(),
    },
  })
  log.info({ healthPort: health.port }, 'submit started')

  return createService('submit', async () => {
    await submit[Symbol.asyncDispose]()
    await bus.drain()
    await Promise.all([
      db.$disconnect(),
      provider[Symbol.asyncDispose](),
      health[Symbol.asyncDispose](),
    ])
  })
}
