/**
 * submit owns `pending`: it accepts requests, and for each video sends the provider one create per
 * intent.
 *
 * It may die at any step. Each pending row has an instant at which whichever process is alive looks
 * at it again; an intent without an answer is looked up by own id, never sent again while it may
 * have been accepted.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { LastPublishedCache } from '#libs/outbox/last-published.ts'
import { publishEvents, publishOwed } from '#libs/outbox/outbox.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { openFileStore } from '#libs/files/settings.ts'
import { Callbacks } from '#libs/provider/callbacks.ts'
import { Providers } from '#libs/provider/providers.ts'
import { configuredProviders, edgeOptions } from '#libs/provider/settings.ts'
import { Batcher } from '#libs/runtime/batcher.ts'
import { systemClock, unixMs } from '#libs/runtime/clock.ts'
import { FairSlots, sharedByHalf } from '#libs/runtime/fair-slots.ts'
import { deadLetters, type Metrics } from '#libs/runtime/metrics.ts'
import { startService, type Service } from '#libs/runtime/service.ts'
import { isReachable, openDatabase, waitForDatabase } from '#libs/store/connect.ts'
import { Outbox } from '#libs/store/outbox.ts'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import { Uploads } from '#libs/store/uploads.ts'
import { ProviderAccounts } from '#libs/store/provider-accounts.ts'
import { SubmissionWriter } from '#libs/store/submissions.ts'
import type { SubmitConfig } from './config.ts'
import { Images } from './images.ts'
import { Absences } from './absences.ts'
import { SendingAccounts } from './accounts.ts'
import { Gate } from './gate.ts'
import { serveErase } from './erase-video.ts'
import { LookUpTurns } from './look-up-turns.ts'
import { runSubmit } from './submit.ts'
import { SystemAccounts } from './system-accounts.ts'
import { v7 } from '#libs/runtime/uuid.ts'

/** As many as one statement reads. */
const turnsAtOnce = 100
/** Fewer than there are connections. */
const commandsAtOnce = 8
/** Some 100 MB of memory each, at most. */
const imagesAtOnce = 4

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
    const configured = configuredProviders(config)
    const providers = stack.use(
      new Providers(configured, {
        createTimeoutMs: config.CREATE_TIMEOUT_MS,
        getTimeoutMs: 10_000,
        nowSeconds: () => Math.floor(unixMs() / 1_000),
        ...edgeOptions(config),
      }),
    )
    await waitForDatabase(db, log, skeleton.signal)
    await waitForTopology(bus, log, skeleton.signal)
    const newest = new LastPublishedCache(bus)
    const staysOwed = (err: unknown) => log.warn({ err }, 'events stay owed')
    const events = new Batcher<OwedEvent>({
      clock: systemClock,
      waitMs: 10,
      maxSize: 200,
      atOnce: 2,
      handle: (some) => publishEvents(bus, outbox, inOrder(some), newest).then(nothing, staysOwed),
    })
    stack.defer(() => events.flush())
    const { PUBLIC_URL: publicUrl } = config
    const accounts = new ProviderAccounts(db)
    const gate = stack.use(new Gate({ clock: systemClock, log, bus, store: accounts }))
    const submit = stack.use(
      await runSubmit(
        {
          config,
          callbacks: new Callbacks(publicUrl, config.KEY_ENCRYPTION_KEY),
          log,
          bus,
          providers,
          systemAccounts: new SystemAccounts(configured, config.KEY_ENCRYPTION_KEY),
          clock: systemClock,
          store: new SubmissionWriter(db),
          publish: (event) => events.add(event),
          publishOwed: (id) => publishOwed(bus, outbox, [id]).catch(staysOwed),
          ...countersOf(metrics),
          accounts: new SendingAccounts(config.KEY_ENCRYPTION_KEY),
          slots: new FairSlots(sharedByHalf(config.CREATE_CONCURRENCY, systemClock)),
          turns: new FairSlots(sharedByHalf(turnsAtOnce, systemClock)),
          commands: new FairSlots(sharedByHalf(commandsAtOnce, systemClock)),
          absences: new Absences(),
          lookUpTurns: new LookUpTurns(bus, systemClock),
          images: new Images(new Uploads(db), stack.use(await openFileStore(config)), publicUrl),
          imageSlots: new FairSlots(sharedByHalf(imagesAtOnce, systemClock)),
          gate,
        },
        v7,
      ),
    )
    stack.adopt(serveErase(bus, db, log), (one) => one.stop())
    checks['work'] = () => submit.isHealthy()
    return {}
  })
}

function countersOf(metrics: Metrics) {
  return {
    creates: metrics.counter('creates_total', 'Answers to creates, by meaning', ['answer']),
    lookups: metrics.counter('lookups_total', 'Answers to look-ups of earlier sends, by meaning', [
      'answer',
    ]),
    late: metrics.counter('late_results_total', 'Results that came after their video had ended', [
      'said',
    ]),
    duplicates: metrics.counter(
      'duplicate_tasks_total',
      'Second tasks of one attempt seen at the provider',
    ),
    dead: deadLetters(metrics),
  }
}

const nothing = () => {}
const inOrder = (events: OwedEvent[]) =>
  events.toSorted((a, b) => (a.timelineId < b.timelineId ? -1 : 1))
