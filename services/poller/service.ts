/**
 * poller owns `generating`: it bids for videos, polls the ones status has granted, and reports.
 *
 * Killed: peers take its videos over within the session's TTL. Frozen or cut off: it pauses by
 * itself before that, and what it still says is refused by its epoch. Asked to stop: its peers take
 * everything over at once.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { Providers } from '#libs/provider/providers.ts'
import { configuredProviders, edgeOptions } from '#libs/provider/settings.ts'
import { systemClock, unixMs } from '#libs/runtime/clock.ts'
import { deadLetters } from '#libs/runtime/metrics.ts'
import { startService, type Service } from '#libs/runtime/service.ts'
import type { PollerConfig } from './config.ts'
import { runPoller } from './poller.ts'

const latenessBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.175, 0.25, 0.5, 1, 2.5, 10]

/** The adapter's own bound comes first: it can tell what became of the request. */
const adapterGraceMs = 1_000

export function startPoller(config: PollerConfig, signal?: AbortSignal): Promise<Service> {
  const name = config.POLLER_NAME
  return startService({ name, config, signal }, async (skeleton) => {
    const { log, metrics, checks, stack } = skeleton
    const bus = stack.adopt(
      await connectBus({ config, user: 'poller', name, log, signal: skeleton.signal }),
      (one) => one.drain(),
    )
    checks['nats'] = () => bus.isConnected()
    const providers = stack.use(
      new Providers(configuredProviders(config), {
        createTimeoutMs: 1,
        getTimeoutMs: config.POLL_TIMEOUT_MS,
        nowSeconds: () => Math.floor(unixMs() / 1_000),
        maxConnections: config.POLL_CONCURRENCY,
        ...edgeOptions(config),
      }),
    )
    await waitForTopology(bus, log, skeleton.signal)
    const poller = stack.use(
      await runPoller({
        bus,
        clock: systemClock,
        log,
        providers,
        name: config.POLLER_NAME,
        ttlMs: config.SESSION_TTL_MS,
        intervalMs: config.POLL_INTERVAL_MS,
        adaptive: config.POLL_ADAPTIVE,
        concurrency: config.POLL_CONCURRENCY,
        queryTimeoutMs: config.POLL_TIMEOUT_MS + adapterGraceMs,
        queryBudget: { perSecond: config.QUERY_PER_SECOND, burst: config.QUERY_BURST },
        keyEncryptionKey: config.KEY_ENCRYPTION_KEY,
        deadLetters: deadLetters(metrics),
        lateness: metrics.histogram(
          'poll_lateness_seconds',
          'By how much polls were later than they were due',
          latenessBuckets,
        ),
        polls: metrics.counter('polls_total', 'Answers to polls, by meaning', ['answer']),
      }),
    )
    checks['session'] = () => poller.ownership.isLeaseValid()
    checks['work'] = () => poller.isHealthy()
    metrics.gauge('owned_videos', 'Videos this poller owns', [], (owned) =>
      owned.set(poller.host.videos.size),
    )
    return {}
  })
}
