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
import { edgeOptions } from '#libs/provider/settings.ts'
import { createToapis } from '#libs/provider/toapis.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { deadLetters } from '#libs/runtime/metrics.ts'
import { startService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase, waitForDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import { Recovery } from '#libs/store/recovery.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import type { SubmitConfig } from './config.ts'
import { Absences } from './look-up.ts'
import { runSubmit } from './submit.ts'
import { v7 } from '#libs/runtime/uuid.ts'

export function startSubmit(config: SubmitConfig, signal?: AbortSignal): Promise<Service> {
  return startService({ name: 'submit', config, signal }, async (skeleton) => {
    const { log, metrics, checks, stack } = skeleton
    const bus = stack.adopt(
      await connectBus({ config, user: 'submit', name: 'submit', log, signal: skeleton.signal }),
      (one) => one.drain(),
    )
    checks['nats'] = () => bus.isConnected()
    const db = stack.adopt(openDatabase(config.DATABASE_URL, 12), (one) => one.$disconnect())
    checks['postgres'] = () => isReachable(db)
    const outbox = new Outbox(db)
    const provider = stack.use(
      createToapis({
        createTimeoutMs: config.CREATE_TIMEOUT_MS,
        getTimeoutMs: 10_000,
        findByOwnId: config.TOAPIS_FIND_BY_OWN_ID,
        ...edgeOptions(config),
      }),
    )
    await waitForDatabase(db, log, skeleton.signal)
    await waitForTopology(bus, log, skeleton.signal)
    const submit = stack.use(
      await runSubmit(
        {
          config,
          log,
          bus,
          provider,
          clock: systemClock,
          store: new SubmissionWriter(db),
          publish: (id) =>
            publishOwed(bus, outbox, [id]).catch((err: unknown) =>
              log.warn({ err, video: id }, 'event stays owed'),
            ),
          creates: metrics.counter('creates_total', 'Answers to creates, by meaning', ['answer']),
          lookups: metrics.counter(
            'lookups_total',
            'Answers to look-ups of earlier sends, by meaning',
            ['answer'],
          ),
          late: metrics.counter(
            'late_results_total',
            'Results that came after their video had ended',
            ['said'],
          ),
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
      ),
    )
    checks['work'] = () => submit.isHealthy()
    return {}
  })
}
