/**
 * A circuit per account: creates that fail widely make further ones wait, until one that is tried
 * goes well. Of each video its last create counts: what fails for itself again and again opens no
 * circuit for others. Submits tell each other what became of their creates, so all judge by the
 * same, however many there are; where NATS is away, each by what it sent itself. Whether a circuit
 * is open is in Postgres, and read by all every second. A refusal is no failure: the provider
 * works, and said no. Where Postgres is away, what was read last counts.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { listen } from '#libs/bus/rpc.ts'
import { Batcher } from '#libs/runtime/batcher.ts'
import type { Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import {
  createOutcomesSchema,
  createOutcomesSubject,
  toldOfReason,
  type CreateOutcome,
  type CreateOutcomes,
} from '#libs/scene-video/create-outcomes.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { AccountKey } from '#libs/store/account-ids.ts'
import {
  firstOpenMs,
  type CircuitState,
  type ProviderAccounts,
} from '#libs/store/provider-accounts.ts'

interface Outcome {
  video: string
  at: number
  isFailure: boolean
}

const judged = 20
const judgedMs = 60_000
const leastFailures = 5
const failingShare = 0.5
const mostAccounts = 10_000
const tellMs = 250

/** What a create found: `try`: it is the one that is tried. */
export type Passage = { kind: 'free' | 'try' } | { kind: 'wait'; ms: number; reason: string }

const free: Passage = { kind: 'free' }
const keyOf = ({ accountId, provider }: AccountKey) => `${provider} ${accountId}`

interface Known extends CircuitState {
  readAt: number
}

/** What became of a create. */
interface Told {
  video: string
  failure: string | null
  /** It failed, and may have been paid for all the same. */
  mayBeAccepted: boolean
  wasTried: boolean
}

export interface CircuitsOptions {
  clock: Clock
  log: Logger
  bus: Pick<Bus, 'publishCore' | 'subscribe'>
  store: Pick<
    InterfaceOf<ProviderAccounts>,
    'circuits' | 'open' | 'openAgain' | 'close' | 'takeTry' | 'giveTryBack'
  >
}

export class Circuits implements Disposable {
  readonly #options: CircuitsOptions
  readonly #outcomes = new Map<string, Outcome[]>()
  #states = new Map<string, Known>()
  #readAt = -Infinity
  #reading: Promise<void> | undefined
  readonly #told: Batcher<CreateOutcome>
  readonly #others: { stop(): void }

  constructor(options: CircuitsOptions) {
    this.#options = options
    const { bus, clock, log } = options
    const from = clock.uuid()
    this.#told = new Batcher<CreateOutcome>({
      clock,
      waitMs: tellMs,
      maxSize: 1_000,
      handle: (outcomes) =>
        bus.publishCore(createOutcomesSubject, { from, outcomes } satisfies CreateOutcomes),
    })
    this.#others = listen(bus, createOutcomesSubject, createOutcomesSchema, (told) => {
      if (told.from === from) return
      // rule: a circuit is judged by the creates of all submits
      for (const outcome of told.outcomes)
        this.#judge(outcome).catch((err: unknown) => log.warn({ err }, 'circuit not opened yet'))
    })
  }

  [Symbol.dispose](): void {
    this.#others.stop()
    this.#told.flush()
  }

  /**
   * Reads them unless that was tried within the last `ms`. Never throws: what was read last counts,
   * and the repeated reading tells why.
   */
  async refresh(ms: number): Promise<void> {
    if (this.#options.clock.now() - this.#readAt < ms) return
    await this.read().catch(() => {})
  }

  /** To be called again and again while creates are sent. */
  read(): Promise<void> {
    return (this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
      this.#readAt = this.#options.clock.now()
    }))
  }

  /** As they are from now on: not by a reading that had begun before. */
  async readAnew(): Promise<void> {
    await this.#reading?.catch(() => {})
    return this.read()
  }

  async #read(): Promise<void> {
    const states = await this.#options.store.circuits()
    const readAt = this.#options.clock.now()
    this.#states = new Map(states.map((state) => [keyOf(state), { ...state, readAt }]))
    // what opened it counts no more once it is closed, whoever closed it
    for (const state of states) if (state.isOpen) this.#outcomes.delete(keyOf(state))
  }

  /** Whether a create may go there now. */
  async pass(account: AccountKey): Promise<Passage> {
    const state = this.#states.get(keyOf(account))
    // rule: an open circuit sends nothing but one create that is tried
    if (!state?.isOpen) return free
    const reason = `circuit open: ${state.reason ?? 'creates fail'}`
    if (state.held || state.untilTryMs === null)
      return {
        kind: 'wait',
        ms: 60_000,
        reason: `held by an operator: ${state.reason ?? 'no reason given'}`,
      }
    const ms = this.#untilTryMs(state)
    if (ms > 0) return { kind: 'wait', ms, reason }
    if (await this.#options.store.takeTry(account)) return { kind: 'try' }
    return { kind: 'wait', ms: 1_000, reason }
  }

  /** How many of those that wait may go on: all, one that is tried, or none. */
  free(account: AccountKey): 'all' | 'one' | 'none' {
    const state = this.#states.get(keyOf(account))
    if (!state?.isOpen) return 'all'
    const isDue = !state.held && this.#untilTryMs(state) <= 0
    return isDue ? 'one' : 'none'
  }

  #untilTryMs({ untilTryMs, readAt }: Known): number {
    return (untilTryMs ?? Infinity) - (this.#options.clock.now() - readAt)
  }

  /** What became of a create. */
  async tell(
    account: AccountKey,
    { video, failure, mayBeAccepted, wasTried }: Told,
  ): Promise<void> {
    const { store, log } = this.#options
    const key = keyOf(account)
    if (wasTried) {
      this.#outcomes.delete(key)
      // rule: what was surely not accepted is tried again as soon as the last time
      if (failure !== null) return store.openAgain(account, failure, mayBeAccepted ? 1 : 0)
      await store.close(account)
      this.#states.delete(key)
      return log.info({ account: account.accountId, provider: account.provider }, 'circuit closed')
    }
    const told = failure?.slice(0, toldOfReason) ?? null
    const outcome = { accountId: account.accountId, provider: account.provider, video }
    this.#told.add({ ...outcome, failure: told })
    await this.#judge({ ...outcome, failure: told })
  }

  /** Opens the circuit where this outcome, of whichever submit, makes too many failures. */
  async #judge({ video, failure, ...account }: CreateOutcome): Promise<void> {
    const { clock, store, log } = this.#options
    const key = keyOf(account)
    const state = this.#states.get(key)
    if (state?.isOpen || state?.held) return
    const outcomes = this.#note(key, { video, at: clock.now(), isFailure: failure !== null })
    const failures = outcomes.filter((one) => one.isFailure).length
    if (failure === null || failures < leastFailures || failures < outcomes.length * failingShare)
      return
    this.#outcomes.delete(key)
    const reason = `${failures} of the last ${outcomes.length} creates failed, the last: ${failure}`
    const opened = { isOpen: true, held: null, reason, untilTryMs: firstOpenMs }
    this.#states.set(key, { ...account, ...opened, readAt: clock.now() })
    log.error({ account: account.accountId, provider: account.provider, reason }, 'circuit opened')
    await store.open(account, reason)
  }

  /** The one create that was to be tried was not sent. */
  notTried(account: AccountKey): Promise<void> {
    return this.#options.store.giveTryBack(account)
  }

  #note(key: string, outcome: Outcome): Outcome[] {
    const since = outcome.at - judgedMs
    // rule: a video that fails for itself opens no circuit
    const recent = (this.#outcomes.get(key) ?? []).filter(
      ({ at, video }) => at > since && video !== outcome.video,
    )
    const outcomes = [...recent, outcome].slice(-judged)
    this.#outcomes.delete(key)
    this.#outcomes.set(key, outcomes)
    if (this.#outcomes.size > mostAccounts)
      this.#outcomes.delete(this.#outcomes.keys().next().value!)
    return outcomes
  }
}
