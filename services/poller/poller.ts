/**
 * What a poller does with its parts: it takes work from the queue, takes over what dead peers
 * owned, hands over what is above its share, and tells the host when to poll at once. Everything it
 * waits for comes through `bus` and `clock`.
 */
import { listen } from '#libs/bus/rpc.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { consumeWork, Snooze, type DeadLetterCounter } from '#libs/bus/work.ts'
import { Ownership } from '#libs/ownership/lease.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { every } from '#libs/runtime/every.ts'
import { nudgeSchema, nudgeSubject, type Nudge, workSchema } from '#libs/scene-video/messages.ts'
import { answerAsks } from './answer-asks.ts'
import { Budget, type FallbackBudget } from './budget.ts'
import { Claims } from './claims.ts'
import { Handoffs } from './handoff.ts'
import { Host, type HostOptions } from './host.ts'
import type { Slack } from './rebalance.ts'
import { takeOver } from './takeover.ts'

export interface PollerParts extends Omit<HostOptions, 'budget' | 'isTrusted' | 'onEnded'> {
  name: string
  dead?: DeadLetterCounter
  ttlMs: number
  slack?: Slack
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

export async function runPoller(parts: PollerParts): Promise<Poller> {
  const { bus, clock, log, ttlMs, name, slack } = parts
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
    onLost: () => dropAll(host, claims),
    onPeerDead: (session, stopped) =>
      void takeOver({ bus, clock, log, ownership, claims, signal }, session, stopped),
    audit: (read) => audit(host, claims, read),
  })
  const budget = new Budget(clock, parts.queryBudget, () => ownership.peers().length + 1)
  const host: Host = new Host({
    ...parts,
    budget,
    isTrusted: () => ownership.isTrusted(),
    onEnded: (id, epoch) => void ownership.release(id, epoch).catch(() => claims.recheck([id])),
  })
  const claims = new Claims({ bus, clock, ownership, host, log })
  const handoffs = new Handoffs({ bus, ownership, host, claims, log, timeoutMs: ttlMs, slack })

  await ownership.start()
  const work = takeWork(parts, ownership, claims)
  const nudges = listen(bus, nudgeSubject('*'), nudgeSchema, (nudge) => obey(nudge, host, claims))
  const unbalanced = (err: unknown) => log.error({ err }, 'nothing handed over to peers')
  const loops = [
    every(clock, ttlMs, signal, () => handoffs.balance(), unbalanced),
    claims.settleUndecided(signal),
  ]

  return {
    host,
    ownership,
    isHealthy: () => ownership.isTrusted() && work.isHealthy(),
    /** Ends its session, which tells the peers to take everything over. */
    async [Symbol.asyncDispose]() {
      stop.abort()
      await ownership.beginDrain()
      nudges.stop()
      const within = (work: PromiseLike<unknown>) =>
        Promise.race([work, sleep(drainMs, undefined, clock)])
      await Promise.all([host.drain(drainMs), within(work[Symbol.asyncDispose]())])
      const count = host.videos.size
      host.dropAll()
      await ownership[Symbol.asyncDispose]()
      crashPoint('handed-over')
      log.info({ count }, `Handed over ${count} videos`)
      await within(Promise.all([...loops, ...servers.map((server) => server.stop())]))
    },
  }
}

/** Bids for what the queue brings. */
const takeWork = (
  { bus, log, clock, dead }: PollerParts,
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
      ...(dead ? { dead } : {}),
    },
    async ({ id }) => {
      const outcome = await claims.bid(id)
      if (outcome === 'elsewhere')
        log.info({ video: id }, `Task ${id} is already being polled elsewhere`)
      if (outcome === 'undecided')
        throw new Snooze(ownership.claimsInMs() + 500 * (1 + clock.random()))
    },
  )

/** Its session was lost. */
function dropAll(host: Host, claims: Claims): void {
  const owned = [...host.videos.keys()]
  // rule: a session found lost drops everything
  host.dropAll()
  // Work for them that came before we knew was answered with: they are ours. What an earlier
  // loss left undecided stays so: nobody else may know of it.
  // rule: what an owner lost it looks for, until it is known whose it is
  claims.recheck(owned)
}

/** What is polled without a record is dropped; what is recorded and not polled is bid for again. */
async function audit(
  host: Host,
  claims: Claims,
  read: () => Promise<Map<string, bigint>>,
): Promise<void> {
  // what is claimed while the records are read may not be listed
  const polled = [...host.videos.values()]
  const owned = await read()
  for (const { id, epoch } of polled)
    // rule: what is owned no more is dropped
    if (owned.get(id)?.toString() !== epoch && host.videos.get(id)?.epoch === epoch) host.drop(id)
  claims.recheck([...owned.keys()].filter((id) => !host.videos.has(id)))
}

function obey({ id, reason, epoch }: Nudge, host: Host, claims: Claims): void {
  const hosted = host.videos.get(id)
  if (reason === 'revoked') host.revoke(id, epoch)
  else if (hosted) host.nudge(id, reason)
  // rule: a promise finds an owner where there is none
  else if (reason === 'stale' || reason === 'cancel') claims.recheck([id])
}
