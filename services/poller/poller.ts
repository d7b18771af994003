/**
 * What a poller does with its parts: it takes work from the queue, takes over what dead peers
 * owned, gives away what is above its share, and tells the host when to poll at once. Everything it
 * waits for comes through `bus` and `clock`.
 */
import { Ownership } from '#libs/ownership/lease.ts'
import { ownerRecords } from '#libs/ownership/records.ts'
import { listen, serve } from '#libs/bus/rpc.ts'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/topology.ts'
import { consumeWork, Snooze, type DeadLetterCounter } from '#libs/bus/work.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { crashPoint } from '#libs/runtime/crash-point.ts'
import { every } from '#libs/runtime/every.ts'
import {
  handoffReplySchema,
  handoffSchema,
  handoffSubject,
  nudgeSchema,
  nudgeSubject,
  type Nudge,
  workSchema,
} from '#libs/scene-video/messages.ts'
import { answerAsks } from './answer-asks.ts'
import { planRebalance, preferredOwner, type Slack } from './rebalance.ts'
import { Budget } from './budget.ts'
import { Claims } from './claims.ts'
import { Host, type HostOptions } from './host.ts'

export interface PollerParts extends Omit<HostOptions, 'budget' | 'isTrusted' | 'onEnded'> {
  name: string
  dead?: DeadLetterCounter
  ttlMs: number
  slack?: Slack
  /** The provider's query budget per account, shared by all pollers. */
  queryBudget: { perSecond: number; burst: number }
}

export interface Poller extends AsyncDisposable {
  readonly host: Host
  readonly ownership: Ownership
  isHealthy(): boolean
}

/** For the polls and reports in hand when asked to stop. */
const drainMs = 1_000
const takeoverTries = 3

export async function runPoller(parts: PollerParts): Promise<Poller> {
  const { bus, clock, log } = parts
  const stop = new AbortController()
  /**
   * On their way to a peer. Counted by us until it counts them: a third one that counted them
   * nowhere would give too much.
   */
  let inTransit = 0

  const ownership: Ownership = new Ownership({
    bus,
    clock,
    log,
    name: parts.name,
    ttlMs: parts.ttlMs,
    owned: () => host.videos.size + inTransit,
    onLost: () => {
      const owned = [...host.videos.keys()]
      // rule: a session found lost drops everything
      host.dropAll()
      // Work for them that came before we knew was answered with: they are ours. What an earlier
      // loss left undecided stays so: nobody else may know of it.
      // rule: what an owner lost it looks for, until it is known whose it is
      claims.recheck(owned)
    },
    onPeerDead: (session) => void takeOver(session),
    onAudit: (owned) => {
      for (const { id, epoch } of host.videos.values())
        if (owned.get(id)?.toString() !== epoch) host.drop(id)
      claims.recheck([...owned.keys()].filter((id) => !host.videos.has(id)))
    },
  })
  const budget = new Budget(clock, parts.queryBudget, () => ownership.peers().length + 1)
  const host: Host = new Host({
    ...parts,
    budget,
    isTrusted: () => ownership.isTrusted(),
    onEnded: (id, epoch) => void ownership.release(id, epoch).catch(() => claims.recheck([id])),
  })
  const claims = new Claims({ bus, clock, ownership, host, log })

  /**
   * Everything a dead session owned is free: our share of it first, then whatever is still left.
   */
  const takeOver = async (session: string) => {
    for (let tries = 0; tries < takeoverTries && !stop.signal.aborted; tries++) {
      while (!ownership.mayClaim() && !stop.signal.aborted)
        await sleep(ownership.claimsInMs() || 250, stop.signal, clock)
      try {
        const orphans = (await ownerRecords(bus))
          .filter((record) => record.session === session)
          .map((record) => record.videoId)
        if (orphans.length === 0) return
        if (tries === 0)
          log.info(
            { session, count: orphans.length },
            `Found ${orphans.length} videos of a dead poller to recover`,
          )
        const heirs = [
          ownership.session,
          ...ownership
            .peers()
            .filter((peer) => !peer.draining)
            .map((peer) => peer.session),
        ]
        await claims.bidForAll(
          tries > 0
            ? orphans
            : orphans.filter((id) => preferredOwner(id, heirs) === ownership.session),
        )
      } catch (err) {
        log.warn({ err }, 'takeover not finished, trying again')
      }
      await sleep(1_000, stop.signal, clock)
    }
  }

  /**
   * Above its share, it gives to peers below theirs. What a peer does not take is bid for again.
   */
  const balance = async () => {
    if (!ownership.mayClaim()) return
    for (const { session, count } of planRebalance(
      host.videos.size,
      ownership.peers(),
      parts.slack,
    )) {
      const videos = host.releaseForHandoff(Math.min(count, 1_000))
      log.info({ session, count: videos.length }, `Giving ${videos.length} videos to a peer`)
      crashPoint('handed-over')
      inTransit = videos.length
      const taken = await bus
        .request(handoffSubject(session), { from: ownership.session, videos }, parts.ttlMs)
        .then((reply) => handoffReplySchema.parse(reply).taken)
        .catch((err: unknown): string[] => (log.warn({ err, session }, 'no answer to a gift'), []))
      inTransit = 0
      claims.recheck(videos.map((video) => video.id).filter((id) => !taken.includes(id)))
    }
  }
  const receive = () =>
    serve(
      bus,
      { subject: handoffSubject(ownership.session), queue: 'poller', schema: handoffSchema, log },
      async ({ from, videos }) => {
        const outcomes = await Promise.all(
          videos.map(({ id, epoch, dueInMs }) =>
            claims.bid(id, { from: { session: from, epoch: BigInt(epoch) }, dueInMs }),
          ),
        )
        await ownership.announce()
        return {
          taken: videos
            .map((video) => video.id)
            .filter((_, i) => outcomes[i] === 'granted' || outcomes[i] === 'refused'),
        }
      },
    )

  await ownership.start()
  const answer = () => answerAsks(bus, ownership.session, host.videos, log)
  const gifted = followSession(ownership, clock, stop.signal, () => [receive(), answer()])
  const work = consumeWork(
    bus,
    {
      stream: streams.work,
      consumer: consumers.pollers,
      schema: workSchema,
      concurrency: 500,
      log,
      clock,
      ...(parts.dead ? { dead: parts.dead } : {}),
    },
    async ({ id }) => {
      const outcome = await claims.bid(id)
      if (outcome === 'elsewhere')
        log.info({ video: id }, `Task ${id} is already being polled elsewhere`)
      if (outcome === 'undecided')
        throw new Snooze(ownership.claimsInMs() + 500 * (1 + clock.random()))
    },
  )
  const nudges = listen(bus, nudgeSubject('*'), nudgeSchema, (nudge) => obey(nudge, host, claims))
  const unbalanced = (err: unknown) => log.error({ err }, 'nothing given to peers')
  const loops = [
    every(clock, parts.ttlMs, stop.signal, balance, unbalanced),
    claims.settleUndecided(stop.signal),
    gifted,
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
      await Promise.all([
        host.drain(drainMs),
        Promise.race([work[Symbol.asyncDispose](), sleep(drainMs, undefined, clock)]),
      ])
      const count = host.videos.size
      host.dropAll()
      await ownership[Symbol.asyncDispose]()
      crashPoint('handed-over')
      log.info({ count }, `Handed over ${count} videos`)
      await Promise.race([Promise.all(loops), sleep(drainMs, undefined, clock)])
    },
  }
}

function obey({ id, reason, epoch }: Nudge, host: Host, claims: Claims): void {
  const hosted = host.videos.get(id)
  if (reason === 'revoked') {
    // a claim made since is not meant
    if (hosted?.epoch === epoch) host.drop(id)
  } else if (hosted) host.nudge(id, reason)
  // rule: a promise finds an owner where there is none
  else if (reason === 'stale' || reason === 'cancel') claims.recheck([id])
}

/** Serves under the name of the session, and again when another session begins. */
async function followSession(
  ownership: Ownership,
  clock: Clock,
  signal: AbortSignal,
  open: () => { stop(): Promise<void> }[],
): Promise<void> {
  while (!signal.aborted) {
    const { session } = ownership
    const servers = open()
    while (!signal.aborted && session === ownership.session) await sleep(200, signal, clock)
    await Promise.all(servers.map((server) => server.stop()))
  }
}
