/**
 * The whole system as real processes, two tenants who submit, cancel and retry, one of them with a
 * provider account that misbehaves in every way, and faults by chance, all at once. When the time
 * is over everything is left alone, must come to rest, and is judged.
 */
import { generator } from '../simulation/world.ts'
import { BadProvider, badWays } from '../support/bad-provider.ts'
import { pause } from '../support/system.ts'
import { Cluster } from './cluster.ts'
import { gather } from './evidence.ts'
import { judgeFiles } from './files.ts'
import {
  loseStore,
  processFaults,
  serverFaults,
  withinMs,
  type Dice,
  type Fault,
} from './faults.ts'
import { judge, type Verdict } from './judge.ts'
import { latenessTable, promisesKept, tooLate, type Bounds, type Span } from './lateness.ts'
import { longestGap } from './polling.ts'
import { watchMemory } from './memory.ts'
import { atRest } from './rest.ts'
import { Users } from './users.ts'
import { Witness } from './witness.ts'

export interface ChaosOptions {
  minutes: number
  seed: number
  /** Submissions a second. */
  rate: number
  tell(line: string): void
}

export interface ChaosResult extends Verdict {
  seed: number
  minutes: number
  faults: Record<string, number>
  files: { stored: number; lost: number; wrong: string[] }
  behind: string[]
  asked: number
  unclear: string[]
  answers: Record<string, number>
  /** Promises kept later than their bound; and how late all were. */
  tooLate: string[]
  lateness: [string, string][]
  /** Seconds from the last fault to the last end. */
  restSeconds: number
  longestGapSeconds: number
  longestGapTask: string
  mostRssMb: Record<string, number>
}

const prompts = [
  ...Array.from({ length: 15 }, () => 'a paper boat'),
  '[fail] a boat',
  '[policy] a boat',
  '[unknown] a boat',
]
const providerFaults = {
  acceptThenTimeout: 0.03,
  acceptThenReset: 0.03,
  status500: 0.03,
  status503: 0.02,
  status429: 0.02,
  unknownStatus: 0.03,
  malformed: 0.02,
  slowBody: 0.01,
}
/** Users who ask again and again are no abuse here. */
const patient = {
  RATE_LIMIT_PER_MINUTE: '1000000',
  MAX_CREATES_PER_MINUTE: '1000000',
  MAX_CREATES_PER_DAY: '1000000',
}
const outside = {
  minSeconds: 4,
  maxSeconds: 20,
  tier: 'off',
  lookupLagMs: 500,
  faults: providerFaults,
}
/**
 * Ms, for time in which no server was away. They leave room for a process that is killed, frozen
 * past its lease, or cut off for a minute: a submit keeps what it has in hand for as long. Whose
 * provider is bad waits for it with creates and results.
 */
const bounds: Record<string, Bounds> = {
  demo: { create: 90_000, record: 90_000, event: 60_000, cancel: 60_000, deadline: 60_000 },
  bad: { create: Infinity, record: Infinity, event: 60_000, cancel: 60_000, deadline: 60_000 },
}
const noProviderFaults = Object.fromEntries(Object.keys(providerFaults).map((name) => [name, 0]))

/** Faults by chance until the time is over. */
class Trouble {
  readonly faults: Record<string, number> = {}
  /** Faults that did not heal. */
  readonly failures: string[] = []
  /** When something was away that no service can do without. */
  readonly away: Span[] = []
  readonly healing: string[] = []
  readonly #cluster: Cluster
  readonly #dice: Dice
  readonly #endAt: number
  /** Faults of the servers come one after another: none deletes what another one has started. */
  #ofServers: Promise<unknown> = Promise.resolve()

  constructor(cluster: Cluster, dice: Dice, ms: number) {
    this.#cluster = cluster
    this.#dice = dice
    this.#endAt = performance.now() + ms
  }

  get leftMs(): number {
    return Math.max(0, this.#endAt - performance.now())
  }

  get count(): number {
    return Object.values(this.faults).reduce((a, b) => a + b, 0)
  }

  async run(): Promise<void> {
    await Promise.all([
      this.track(processFaults, 500, 4_000),
      this.track(processFaults, 500, 4_000),
      this.track(this.#oneByOne(serverFaults), 10_000, 30_000),
      this.track(this.#oneByOne({ 'NATS store lost': loseStore }), 60_000, 240_000),
    ])
  }

  #oneByOne(kinds: Record<string, Fault>): Record<string, Fault> {
    const wrapped = Object.entries(kinds).map(([kind, fault]): [string, Fault] => [
      kind,
      (cluster, dice) => {
        const run = this.#ofServers.then(() => this.#whileAway(() => fault(cluster, dice)))
        this.#ofServers = run.catch(() => {})
        return run
      },
    ])
    return Object.fromEntries(wrapped)
  }

  /** Nothing is late meanwhile. */
  async #whileAway<T>(act: () => Promise<T>): Promise<T> {
    const from = Date.now()
    try {
      return await act()
    } finally {
      this.away.push([from, Date.now()])
    }
  }

  async track(kinds: Record<string, Fault>, low: number, high: number): Promise<void> {
    while (this.leftMs > 0) {
      await pause(Math.min(this.#dice.between(low, high), this.leftMs))
      if (this.leftMs <= 0) return
      const kind = this.#dice.pick(Object.keys(kinds))
      this.healing.push(kind)
      const act = () => kinds[kind]!(this.#cluster, withinMs(this.#dice, this.leftMs))
      const what = await (kind.includes('the provider') ? this.#whileAway(act) : act()).catch(
        (err: unknown) => void this.failures.push(`${kind}: ${(err as Error).message}`),
      )
      this.healing.splice(this.healing.indexOf(kind), 1)
      this.faults[what ?? kind] = (this.faults[what ?? kind] ?? 0) + 1
    }
  }

  get stage(): string {
    if (this.leftMs > 0) return `${Math.round(this.leftMs / 1_000)} s left`
    return this.healing.length
      ? `until the last faults heal: ${this.healing.join(', ')}`
      : 'until everything has ended'
  }
}

export async function chaos({ minutes, seed, rate, tell }: ChaosOptions): Promise<ChaosResult> {
  const random = generator(seed)
  const dice: Dice = {
    between: (low, high) => low + (high - low) * random(),
    pick: (items) => items[Math.floor(random() * items.length)]!,
  }
  await using cluster = await Cluster.start({ proxied: true, skewMs: 30_000, random, env: patient })
  await using bad = await BadProvider.before(cluster.simulatorUrl)
  await cluster.addTenant('bad', bad.baseUrl)
  await cluster.simulator('/settings', outside)
  await using witness = await Witness.begin(cluster, () => Math.random() < 0.2)
  const users = cluster.tenants.map((tenant) => new Users(tenant, random))
  const rss = watchMemory(cluster)
  const trouble = new Trouble(cluster, dice, minutes * 60_000)
  const turn: Fault = async () => {
    bad.way = dice.pick(['fine', ...badWays])
    const { way } = bad
    await pause(Math.min(dice.between(5_000, 30_000), trouble.leftMs))
    bad.way = 'fine'
    return `the bad account is ${way}`
  }
  const accepted = () => users.flatMap((one) => [...one.accepted.keys()])
  const status = setInterval(
    () => tell(`${trouble.stage}, ${accepted().length} videos accepted, ${trouble.count} faults`),
    10_000,
  )
  for (const one of users)
    one.begin({ rate: rate / 2, cancel: 0.06, retry: 0.1, deadline: 0.05, prompts })
  await Promise.all([trouble.run(), trouble.track({ 'the bad account': turn }, 0, 1_000)])
  tell('no more faults; waiting for everything to end')
  await cluster.simulator('/settings', { faults: noProviderFaults, lookupLagMs: 0 })
  await Promise.all(users.map((one) => one.stop()))
  const healedAt = performance.now()
  await atRest(cluster).catch((err: unknown) => trouble.failures.push((err as Error).message))
  const restSeconds = Math.round((performance.now() - healedAt) / 1000)
  clearInterval(status)
  const files = await judgeFiles(cluster).catch((err: unknown) => ({
    stored: 0,
    lost: 0,
    wrong: [(err as Error).message],
  }))
  const evidence = await gather(cluster)
  const kept = promisesKept(evidence, users, trouble.away)
  const answers = Map.groupBy(
    users.flatMap((one) => [...one.answers]),
    ([code]) => code,
  )
  return {
    ...judge(evidence, {
      accepted: accepted(),
      historyLost: (trouble.faults['NATS store lost'] ?? 0) > 0,
    }),
    seed,
    minutes,
    files,
    faults: trouble.faults,
    behind: witness.breaches,
    asked: witness.asked,
    unclear: [...users.flatMap((one) => one.unclear), ...trouble.failures],
    answers: Object.fromEntries(
      [...answers].map(([code, all]) => [code, all.reduce((sum, [, n]) => sum + n, 0)]),
    ),
    tooLate: tooLate(kept, bounds),
    lateness: latenessTable(kept),
    restSeconds,
    ...(await longestGap(cluster)),
    mostRssMb: rss.stop(),
  }
}
