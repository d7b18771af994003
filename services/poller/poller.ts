/**
 * What a poller does with its parts: it takes work from the queue, takes over what dead peers
 * owned, hands over what is above its share, and tells the host when to poll at once. Everything it
 * waits for comes through `bus` and `clock`.
 */
import { listen } from '#libs/bus/rpc.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { consumeWork, Snooze, type DeadLetterCounter } from '#libs/bus/work.ts'
import { Ownership } from '#libs/ownership/ownership.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { every } from '#libs/runtime/every.ts'
import { nudgeSchema, nudgeSubject, type Nudge, workSchema } from '#libs/scene-video/messages.ts'
import { queriesSchema, queriesSubject } from '#libs/scene-video/queries.ts'
import { answerAsks } from './answer-asks.ts'
import { Budget, type FallbackBudget } from '#libs/provider/query-budget.ts'
import { Claims } from './claims.ts'
import { Handoffs } from './handoff.ts'
import { Host, type HostOptions } from './host.ts'
import type { RebalanceTolerance } from './rebalance.ts'
import { takeOver } from './takeover.ts'

export interface PollerOptions extends Omit<HostOptions, 'budget' | 'isLeaseValid' | 'onEnded'> {
  name: string
  deadLetters?: DeadLetterCounter
  ttlMs: number
  tolerance?: RebalanceTolerance
  /** The query budget of an account of which nothing else is known, shared by all pollers. */
  queryBudget: FallbackBudget
}

export interface Poller extends AsyncDisposable {
  readonly host: Host
  readonly ownership: Ownership
  isHealthy(): boolean
}

/** For the polls and reports in hand when asked to stop. */
const drainMs = 1_000

export async function runPoller(options: PollerOptions): Promise<Poller> {
  const { bus, clock, log, ttlMs, name, tolerance } = options
  const stop = new AbortController()
  const { signal } = stop
  let servers: { stop(): Promise<void> }[] = []

  const ownership: Ownership = new Ownership({
    bus,
    clock,
    log,
    name,
    ttlMs,
    owned: () => host.videos.size + handoffs.inTransit,
    onOpened: (session) => {
      for (const server of servers) void server.stop()
      servers = [handoffs.serve(session), answerAsks(bus, session, host.videos, log)]
    },
    onLost: () => onSessionLost(host, claims),
    onPeerDead: (session, stopped) =>
      void takeOver({ bus, clock, log, ownership, claims, signal }, session, stopped),
    audit: (read) => compareWithRecords(host, claims, read),
  })
  const budget = new Budget(clock, options.queryBudget, () => ownership.peers().length + 1)
  const host: Host = new Host({
    ...options,
    budget,
    isLeaseValid: () => ownership.isLeaseValid(),
    onEnded: (id, epoch) => void ownership.release(id, epoch).catch(() => claims.claimAgain([id])),
  })
  const claims = new Claims({ bus, clock, ownership, host, log })
  const handoffs = new Handoffs({ bus, ownership, host, claims, log, timeoutMs: ttlMs, tolerance })

  await ownership.start()
  const work = takeWork(options, ownership, claims)
  const nudges = listen(bus, nudgeSubject('*'), nudgeSchema, (nudge) =>
    onNudge(nudge, host, claims),
  )
  const queries = listen(bus, queriesSubject, queriesSchema, ({ accountId, count }) =>
    budget.spent(accountId, count),
  )
  const onBalanceFailed = (err: unknown) => log.error({ err }, 'nothing handed over to peers')
  const balancing = every(clock, ttlMs, signal, () => handoffs.balance(), onBalanceFailed)
  const retrying = claims.retryUndecided()

  return {
    host,
    ownership,
    isHealthy: () => ownership.isLeaseValid() && work.isHealthy(),
    /** Ends its session, which tells the peers to take everything over. */
    async [Symbol.asyncDispose]() {
      stop.abort()
      const retried = retrying[Symbol.asyncDispose]()
      await ownership.beginDrain()
      nudges.stop()
      queries.stop()
      const within = (work: PromiseLike<unknown>) =>
        Promise.race([work, sleep(drainMs, undefined, clock)])
      await Promise.all([host.drain(drainMs), within(work[Symbol.asyncDispose]())])
      const count = host.videos.size
      host.dropAll()
      await ownership[Symbol.asyncDispose]()
      crashPoint('session-ended')
      log.info({ count }, `Released ${count} videos`)
      await within(Promise.all([balancing, retried, ...servers.map((server) => server.stop())]))
    },
  }
}

/** Claims what the queue brings. */
const takeWork = (
  { bus, log, clock, deadLetters }: PollerOptions,
  ownership: Ownership,
  claims: Claims,
): ReturnType<typeof consumeWork> =>
  consumeWork(
    bus,
    {
      stream: streams.work,
      consumer: consumers.pollers,
      schema: workSchema,
      concurrency: 500,
      log,
      clock,
      ...(deadLetters ? { dead: deadLetters } : {}),
    },
    async ({ id }) => {
      const outcome = await claims.claim(id, { isNew: true })
      if (outcome === 'elsewhere')
        log.info({ video: id }, `Task ${id} is already being polled elsewhere`)
      if (outcome === 'undecided')
        throw new Snooze((ownership.claimDelayMs() ?? 0) + 500 * (1 + clock.random()))
    },
  )

/** Drops what was owned under the lost session, and claims it under the next one. */
function onSessionLost(host: Host, claims: Claims): void {
  const owned = [...host.videos.keys()]
  // rule: a session found lost drops everything
  host.dropAll()
  // Poll work for them that came before the loss was noticed is acknowledged: we hosted them. So
  // nobody else may know of them. What an earlier loss left undecided stays undecided.
  // rule: after a lost session what it owned is claimed again
  claims.claimAgain(owned)
}

/** What is hosted without a record is dropped; what is recorded and not hosted is claimed again. */
async function compareWithRecords(
  host: Host,
  claims: Claims,
  read: () => Promise<Map<string, bigint>>,
): Promise<void> {
  // a claim made while the records are read may not be listed
  const hosted = [...host.videos.values()]
  const owned = await read()
  for (const { id, epoch } of hosted)
    // rule: what is owned no more is dropped
    if (owned.get(id)?.toString() !== epoch && host.videos.get(id)?.epoch === epoch) host.drop(id)
  claims.claimAgain([...owned.keys()].filter((id) => !host.videos.has(id)))
}

/**
 * A revocation drops the video, if it is of the epoch meant; a cancel is acted on; every other
 * nudge only polls sooner.
 */
function onNudge({ id, reason, epoch }: Nudge, host: Host, claims: Claims): void {
  const hosted = host.videos.get(id)
  if (reason === 'revoked') host.revoke(id, epoch)
  else if (hosted || reason === 'webhook') host.nudge(id, reason)
  // a recorded cancel or deadline of a video that nobody hosts
  // rule: a nudge for a video that nobody hosts claims it
  else if (reason === 'stale' || reason === 'cancel') claims.claimAgain([id])
}
