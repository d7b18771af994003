/**
 * poller owns `generating`: it bids for videos, polls the ones status has granted, and reports.
 *
 * Killed: peers take its videos over within the session's TTL. Frozen or cut off: it pauses by
 * itself before that, and what it still says is refused by its epoch. Asked to stop: its peers take
 * everything over at once.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { waitForTopology } from '#libs/bus/topology.ts'
import { createToapis } from '#libs/provider/toapis.ts'
import { systemClock } from '#libs/runtime/clock.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { deadLetters, Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import type { PollerConfig } from './config.ts'
import { runPoller } from './poller.ts'

const latenessBuckets = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.175, 0.25, 0.5, 1, 2.5, 10]

export async function startPoller(config: PollerConfig): Promise<Service> {
  const log = createLogger(config.POLLER_NAME, config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: config.POLLER_NAME, log })
  const provider = createToapis({
    createTimeoutMs: 1,
    getTimeoutMs: config.POLL_TIMEOUT_MS,
    batchPath: config.TOAPIS_BATCH_PATH,
    maxConnections: config.POLL_CONCURRENCY,
    trustedBaseUrl: config.TOAPIS_BASE_URL,
    allowPrivate: config.ALLOW_PRIVATE_BASE_URLS,
  })
  const metrics = new Metrics()
  await waitForTopology(bus, log)
  const poller = await runPoller({
    bus,
    clock: systemClock,
    log,
    provider,
    name: config.POLLER_NAME,
    ttlMs: config.SESSION_TTL_MS,
    intervalMs: config.POLL_INTERVAL_MS,
    adaptive: config.POLL_ADAPTIVE,
    concurrency: config.POLL_CONCURRENCY,
    queryBudget: { perSecond: config.QUERY_PER_SECOND, burst: config.QUERY_BURST },
    keyEncryptionKey: config.KEY_ENCRYPTION_KEY,
    dead: deadLetters(metrics),
    lateness: metrics.histogram(
      'poll_lateness_seconds',
      'By how much polls were later than they were due',
      latenessBuckets,
    ),
    polls: metrics.counter('polls_total', 'Answers to polls, by meaning', ['answer']),
  })
  const owned = metrics.gauge('owned_videos', 'Videos this poller owns')
  const gauge = setInterval(() => owned.set(poller.host.videos.size), 1_000)
  const health = await startHealthServer({
    port: config.HEALTH_PORT,
    host: config.HEALTH_HOST,
    metrics,
    checks: {
      nats: () => bus.isConnected(),
      session: () => poller.ownership.isTrusted(),
      work: () => poller.isHealthy(),
    },
  })
  log.info({ healthPort: health.port, session: poller.ownership.session }, 'poller started')

  return createService(config.POLLER_NAME, async () => {
    clearInterval(gauge)
    await poller[Symbol.asyncDispose]()
    await bus.drain()
    await Promise.all([provider[Symbol.asyncDispose](), health[Symbol.asyncDispose]()])
  })
}
