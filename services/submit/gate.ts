/**
 * Whether a create may be sent to its account now: within the limits that the operator set, its
 * provider tells, or is declared to have, and unless its circuit is open. Of an account without a
 * limit and with a closed circuit that costs nothing. A limit that nobody told shows by refusals:
 * less is sent then, and more again with time.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { Looks } from '#libs/runtime/every.ts'
import type { CreateAnswer, RateLimit } from '#libs/provider/provider.ts'
import { Circuits, type Passage } from './circuits.ts'
import type { CreateLimits, Waiting } from './create-queue.ts'
import {
  accountKeyOf,
  KnownAccounts,
  type GateAccount,
  type KnownAccount,
  type KnownAccountsOptions,
} from './known-accounts.ts'

export interface Wait {
  ms: number
  reason: string
}

interface Limits extends CreateLimits {
  /** As it is told to users. */
  perMinute: number | null
  /** Whether the limit of creates is set or declared. */
  isDeclared: boolean
}

export interface GateOptions extends KnownAccountsOptions {
  /** Submits tell each other what became of creates. */
  bus: Pick<Bus, 'publishCore' | 'subscribe'>
}

const readEveryMs = 1_000
/** What is older is read again before it is judged by; reading takes some time, too. */
const staleMs = 2_000
/** While no create is under way. */
const idleMs = 60_000
const mostWaiting = 1_000
const wokenAtOnce = 50
const mostWoken = 10_000

export class Gate implements AsyncDisposable {
  readonly #options: GateOptions
  readonly #circuits: Circuits
  readonly #accounts: KnownAccounts
  readonly #woken = new Set<string>()
  readonly #reading: Looks
  #wake: (video: Waiting) => void = () => {}

  constructor(options: GateOptions) {
    this.#options = options
    this.#circuits = new Circuits(options)
    this.#accounts = new KnownAccounts(
      options,
      (video) => this.#wakeUp(video),
      () => this.#circuits.readAnew(),
    )
    const { clock, log } = options
    const onError = (err: unknown) =>
      log.warn({ err }, 'circuits not read, what was read last counts')
    const times = { everyMs: readEveryMs, idleMs, firstMs: 0 }
    this.#reading = new Looks({ clock, ...times, onError }, async () => {
      await this.#circuits.read()
      return this.#wakeFree()
    })
  }

  /** What is called for a video that may be sent now. */
  onFree(wake: (video: Waiting) => void): void {
    this.#wake = wake
  }

  /** Whether this video, though it was told to wait for longer, has its turn now. */
  isWoken(id: string): boolean {
    return this.#woken.has(id)
  }

  /** Null when the account's limits allow for this video's create now. */
  async enter(at: GateAccount, video: Waiting): Promise<Wait | null> {
    this.#woken.delete(video.id)
    const known = await this.#accounts.of(at)
    const limits = this.#limitsOf(known, at)
    if (!limits.rate && limits.parallelTasks === null) return null
    const wait = await known.queue.enter(video, () => this.#limitsOf(known, at))
    if (!wait) return null
    const reason =
      wait.why === 'rate'
        ? `the account’s limit of ${Math.round(limits.perMinute!)} creates a minute`
        : `the account’s limit of ${limits.parallelTasks} tasks at work at once`
    return { ms: wait.ms, reason }
  }

  /** Whether its circuit lets this video's create through; asked right before it is sent. */
  async pass(at: GateAccount, video: Waiting): Promise<Passage> {
    this.#woken.delete(video.id)
    this.#reading.wake()
    const { waiting } = await this.#accounts.of(at)
    // rule: a circuit is read again before it is judged
    await this.#circuits.refresh(staleMs)
    const passage = await this.#circuits.pass(accountKeyOf(at))
    if (passage.kind !== 'wait') waiting.delete(video.id)
    else if (waiting.size < mostWaiting) waiting.set(video.id, video)
    return passage
  }

  /**
   * Once a circuit is closed, some of those that wait for it every second; to be tried, one.
   * Whether any waited.
   */
  #wakeFree(): boolean {
    let anyWaited = false
    for (const { key, waiting } of this.#accounts) {
      if (waiting.size === 0) continue
      anyWaited = true
      const free = this.#circuits.free(key)
      const count = { all: wokenAtOnce, one: 1, none: 0 }[free]
      for (const video of [...waiting.values()].slice(0, count)) {
        waiting.delete(video.id)
        this.#wakeUp(video)
      }
    }
    return anyWaited
  }

  #wakeUp(video: Waiting): void {
    if (this.#woken.size >= mostWoken) this.#woken.clear()
    this.#woken.add(video.id)
    this.#wake(video)
  }

  /** What the provider said of its limit of creates. */
  told(at: GateAccount, { perSecond }: RateLimit): void {
    const known = this.#accounts.ofNow(at)
    if (known && perSecond !== null) known.told = perSecond * 60
  }

  /** What became of a create that was sent. */
  async answered(
    at: GateAccount,
    answer: CreateAnswer,
    { video, wasTried }: { video: string; wasTried: boolean },
  ): Promise<void> {
    const known = await this.#accounts.of(at)
    const isOverLimit = answer.kind === 'later' && answer.isOverLimit === true
    if (answer.kind === 'accepted') known.learned.accepted(this.#options.clock.now())
    if (isOverLimit) {
      this.#refused(known, at)
      await known.queue.refused(answer.retryAfterMs ?? readEveryMs)
    }
    // rule: what was sent too late by us says nothing of the account
    if (answer.kind === 'later' && answer.isLate)
      return wasTried ? this.#circuits.notTried(known.key) : undefined
    // rule: a refusal is no failure of the account
    const isFailure = answer.kind === 'unknown' || (answer.kind === 'later' && !isOverLimit)
    const failure = isFailure ? answer.reason : null
    const mayBeAccepted = answer.kind === 'unknown'
    await this.#circuits.tell(known.key, { video, failure, mayBeAccepted, wasTried })
  }

  /** A create that its circuit let through, to be tried, was not sent. */
  notTried(at: GateAccount): Promise<void> {
    return this.#circuits.notTried(accountKeyOf(at))
  }

  /** Of its limit nothing is known but that it was exceeded. */
  #refused(known: KnownAccount, at: GateAccount): void {
    if (known.told !== null || this.#limitsOf(known, at).isDeclared) return
    known.learned.refused(this.#options.clock.now())
  }

  #limitsOf(known: KnownAccount, { provider }: GateAccount): Limits {
    const { usual = {}, set = {} } = provider.budgets ?? {}
    const declared = set.createPerMinute ?? usual.createPerMinute ?? null
    const told = known.told === null ? null : Math.min(known.told, set.createPerMinute ?? Infinity)
    const more = {
      parallelTasks: set.parallelTasks ?? usual.parallelTasks ?? null,
      isDeclared: declared !== null,
    }
    const limit = told ?? declared ?? known.learned.perMinute(this.#options.clock.now())
    if (limit === null) return { rate: null, perMinute: null, ...more }
    // of a bucket that the provider tells of: ten seconds' worth at once
    const burst = Math.max(1, Math.floor(told === null ? limit / 20 : limit / 6))
    // else never more than the limit in any minute, though what is sent together arrives apart
    const perMinute = told === null ? Math.max(limit * 0.9, limit * 0.97 - burst) : limit * 0.95
    return { rate: { perMinute, burst }, perMinute: limit, ...more }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#circuits[Symbol.dispose]()
    for (const { queue } of this.#accounts) queue.close()
    await this.#reading[Symbol.asyncDispose]()
  }
}
