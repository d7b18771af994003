/**
 * poller owns `generating`: it bids for videos, polls the ones status has granted, and reports.
 *
 * Killed: peers take its videos over within the session's TTL plus a second. Frozen or cut off: it pauses by itself before
 * that, and what it still says is refused by its epoch. Asked to stop: it hands everything over at once.
 */
import { connectBus } from '#libs/bus/connect.ts'
import { ownerRecords, Ownership } from '#libs/bus/lease.ts'
import { listen } from '#libs/bus/rpc.ts'
import { consumers, streams, waitForTopology } from '#libs/bus/topology.ts'
import { consumeWork, Later, publishWork } from '#libs/bus/work.ts'
import { createToapis } from '#libs/provider/toapis.ts'
import { sleep, systemClock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { startHealthServer } from '#libs/runtime/health.ts'
import { Metrics } from '#libs/runtime/metrics.ts'
import { createService, type Service } from '#libs/runtime/service.ts'
import { nudgeSchema, nudgeSubject, pollWorkSubject, workSchema } from '#libs/scene-video/messages.ts'
import { Budget } from './budget.ts'
import { Claims } from './claims.ts'
import type { PollerConfig } from './config.ts'
import { Host } from './host.ts'

/** toapis' default query budget. */
const queryBudget = { perSecond: 50, burst: 500 }

export async function startPoller(config: PollerConfig): Promise<Service> {
  const log = createLogger(config.POLLER_NAME, config.LOG_LEVEL)
  const bus = await connectBus({ url: config.NATS_URL, name: config.POLLER_NAME, log })
  const provider = createToapis({ createTimeoutMs: 1, getTimeoutMs: config.POLL_TIMEOUT_MS, maxConnections: config.POLL_CONCURRENCY })
  const metrics = new Metrics()
  await waitForTopology(bus, log)

  const ownership: Ownership = new Ownership({
    bus, clock: systemClock, log, name: config.POLLER_NAME, ttlMs: config.SESSION_TTL_MS,
    onLost: () => host.dropAll(),
    onPeerDead: (session) => void takeOver(session),
  })
  const host: Host = new Host({
    bus, clock: systemClock, log, provider,
    budget: new Budget(systemClock, queryBudget, () => ownership.livePeers()),
    intervalMs: config.POLL_INTERVAL_MS,
    keyEncryptionKey: config.KEY_ENCRYPTION_KEY,
    isTrusted: () => ownership.isTrusted(),
    onEnded: (id, epoch) => void ownership.release(id, epoch).catch(() => {}),
    polls: metrics.counter('polls_total', 'Answers to polls, by meaning', ['answer']),
  })
  const claims = new Claims({ bus, ownership, host, log })
  const owned = metrics.gauge('owned_videos', 'Videos this poller owns')
  const gauge = setInterval(() => owned.set(host.videos.size), 1_000)

  /** Everything a dead session owned is free; we take what we can get, in random order so that peers share it. */
  const takeOver = async (session: string) => {
    for (let tries = 0; tries < 3 && !stopping; tries++) {
      try {
        const orphans = (await ownerRecords(bus)).filter((record) => record.session === session)
        if (orphans.length === 0) return
        if (tries === 0) log.info({ session, count: orphans.length }, `Found ${orphans.length} videos of a dead poller to recover`)
        await claims.bidForAll(shuffle(orphans.map((record) => record.videoId)))
      } catch (err) {
        log.warn({ err: (err as Error).message }, 'takeover not finished, trying again')
      }
      await sleep(1_000)
    }
  }

  let stopping = false
  await ownership.start()
  const work = consumeWork(bus, { stream: streams.work, consumer: consumers.pollers, schema: workSchema, concurrency: 500, log }, async ({ id }) => {
    const outcome = await claims.bid(id)
    if (outcome === 'elsewhere') log.info({ video: id }, `Task ${id} is already being polled elsewhere`)
    if (outcome === 'undecided') throw new Later(500)
  })
  const nudges = listen(bus, nudgeSubject('*'), nudgeSchema, ({ id, reason }) => host.nudge(id, reason))
  const health = await startHealthServer({
    port: config.HEALTH_PORT, host: config.HEALTH_HOST, metrics,
    checks: { nats: () => bus.isConnected(), session: () => ownership.isTrusted(), work: () => work.isHealthy() },
  })
  log.info({ healthPort: health.port, session: ownership.session }, 'poller started')

  return createService(config.POLLER_NAME, async () => {
    stopping = true
    clearInterval(gauge)
    nudges.stop()
    await work[Symbol.asyncDispose]()
    await Promise.race([host.drain(), sleep(config.POLL_TIMEOUT_MS)])
    const videos = [...host.videos.values()]
    await Promise.allSettled(videos.map(async ({ grant }) => {
      await ownership.release(grant.id, BigInt(grant.epoch))
      crashPoint('handed-over')
      await publishWork(bus, pollWorkSubject(grant.id), { id: grant.id })
    }))
    host.dropAll()
    log.info({ count: videos.length }, `Handed over ${videos.length} videos`)
    await ownership[Symbol.asyncDispose]()
    await bus.drain()
    await Promise.all([provider[Symbol.asyncDispose](), health[Symbol.asyncDispose]()])
  })
}

function shuffle<T>(items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    ;[items[i], items[j]] = [items[j]!, items[i]!]
  }
  return items
}
