/**
 * Videos that wait for the limits of one account: creates a minute, and tasks at work. What is
 * free is taken from Postgres, where all submits take it, and given to users in turn. Whoever is
 * given one is woken, and has it for a few seconds; one that nobody fetches goes to the next.
 */
import type { Clock } from '#libs/runtime/clock.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { InterfaceOf } from '#libs/store/connect.ts'
import type { AccountKey } from '#libs/store/account-ids.ts'
import type { CreateRate, ProviderAccounts } from '#libs/store/provider-accounts.ts'

export interface Waiting {
  id: string
  userId: string
  attempt: number
}

/** Null: no such limit. */
export interface CreateLimits {
  rate: CreateRate | null
  parallelTasks: number | null
}

export type CreateBudgets = Pick<
  InterfaceOf<ProviderAccounts>,
  'takeCreates' | 'takeTask' | 'emptyCreates'
>

export interface CreateQueueOptions {
  clock: Clock
  log: Logger
  store: CreateBudgets
  account: AccountKey
  wake(video: Waiting): void
}

/** Taken at once at most: a process that dies has no more with it. */
const mostTaken = 20
const leastWaitMs = 20
/** Places among the tasks at work are given back by nobody's word: looked for so often. */
const lookForPlaceMs = 1_000
const longestLookMs = 5_000
const keptMs = 5_000
/** A video that waits comes back within a minute or so; one that does not is gone. */
const forgottenMs = 90_000

interface Place extends Waiting {
  seenAt: number
}

export class CreateQueue {
  readonly #options: CreateQueueOptions
  /** By user, in the order of their turns. */
  readonly #users = new Map<string, Map<string, Place>>()
  /** By video, until when it may fetch what it was given. */
  readonly #given = new Map<string, number>()
  /** Those that wait in `enter`, and what has them go on: they need not be woken. */
  readonly #entering = new Map<string, () => void>()
  /** As they are now: what is learned of an account changes while videos wait. */
  #limits: () => CreateLimits = () => ({ rate: null, parallelTasks: null })
  /** Creates taken, and given to nobody. */
  #spare = 0
  #nextAt = 0
  #waitsForPlaceMs = lookForPlaceMs
  #why: 'rate' | 'tasks' = 'rate'
  #taking: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined

  constructor(options: CreateQueueOptions) {
    this.#options = options
  }

  get size(): number {
    let size = 0
    for (const places of this.#users.values()) size += places.size
    return size
  }

  /** Null when it may be sent now; else why, and for how long about, it has to wait. */
  async enter(
    video: Waiting,
    limits: () => CreateLimits,
  ): Promise<{ ms: number; why: 'rate' | 'tasks' } | null> {
    const { clock } = this.#options
    this.#limits = limits
    if (this.#fetch(video.id)) return null
    const places = this.#users.get(video.userId) ?? new Map<string, Place>()
    places.set(video.id, { ...video, seenAt: clock.now() })
    this.#users.set(video.userId, places)
    const given = new Promise<void>((goOn) => this.#entering.set(video.id, goOn))
    try {
      // rule: whoever was given a create waits for nobody behind it
      await Promise.race([given, this.#take()])
    } finally {
      this.#entering.delete(video.id)
    }
    if (this.#fetch(video.id)) return null
    const { rate } = this.#limits()
    const queueMs = rate ? (this.size / rate.perMinute) * 60_000 : 0
    return {
      ms: Math.max(this.#nextAt - clock.now(), queueMs, 1_000),
      why: rate ? this.#why : 'tasks',
    }
  }

  /** The provider refused one of them: nothing is left, for so long. */
  async refused(ms: number): Promise<void> {
    const { store, account, clock } = this.#options
    this.#spare = 0
    this.#nextAt = Math.max(this.#nextAt, clock.now() + ms)
    const { rate } = this.#limits()
    if (rate) await store.emptyCreates(account, rate, ms)
  }

  close(): void {
    this.#cancelTimer?.()
    this.#users.clear()
  }

  #fetch(id: string): boolean {
    const isGiven = (this.#given.get(id) ?? 0) > this.#options.clock.now()
    if (isGiven) this.#given.delete(id)
    return isGiven
  }

  /** Gives what is free to those whose turn it is. */
  async #take(): Promise<void> {
    await this.#taking
    if (this.#options.clock.now() >= this.#nextAt)
      await (this.#taking ??= this.#takeOnce().finally(() => (this.#taking = undefined)))
    this.#takeAgain()
  }

  async #takeOnce(): Promise<void> {
    const { clock, store, account } = this.#options
    this.#forget()
    const size = this.size
    if (size === 0) return
    const { rate } = this.#limits()
    if (rate && this.#spare === 0) {
      const { taken, waitMs } = await store.takeCreates(account, rate, Math.min(size, mostTaken))
      this.#spare = taken
      this.#why = 'rate'
      // two submits that come at the same moment again and again: not always the same one first
      const jitterMs = Math.min(100, waitMs / 5) * clock.random()
      this.#nextAt = clock.now() + (taken < Math.min(size, mostTaken) ? waitMs + jitterMs : 0)
    }
    while (this.size > 0 && (!rate || this.#spare > 0)) {
      // before the wait: a refusal meanwhile takes all that is spare
      if (rate) this.#spare--
      if (await this.#giveToNext()) continue
      if (rate) this.#spare++
      break
    }
  }

  /** The first in turn; false where there is no place for another task. */
  async #giveToNext(): Promise<boolean> {
    const { clock, store, account } = this.#options
    const [first] = this.#users.values().next().value!.values()
    const { parallelTasks } = this.#limits()
    if (parallelTasks !== null) {
      const { taken, holders } = await store.takeTask(account, parallelTasks, first!)
      if (!taken) {
        this.#why = 'tasks'
        this.#nextAt = clock.now() + this.#waitsForPlaceMs
        this.#waitsForPlaceMs = Math.min(longestLookMs, this.#waitsForPlaceMs * 1.5)
        return this.#giveToHolder(new Set(holders))
      }
    }
    this.#waitsForPlaceMs = lookForPlaceMs
    this.#give(first!)
    return true
  }

  /** Who was given a place and did not use it, as when its submit died, keeps nobody from going. */
  #giveToHolder(holders: Set<string>): boolean {
    // rule: who holds a place among the tasks at work goes, whoever came before
    for (const places of this.#users.values())
      for (const place of places.values())
        if (holders.has(place.id)) {
          this.#give(place)
          return true
        }
    return false
  }

  #give(place: Place): void {
    const places = this.#users.get(place.userId)!
    // rule: users take turns at the limits of an account
    this.#users.delete(place.userId)
    places.delete(place.id)
    if (places.size > 0) this.#users.set(place.userId, places)
    this.#given.set(place.id, this.#options.clock.now() + keptMs)
    const goOn = this.#entering.get(place.id)
    if (goOn) goOn()
    else this.#options.wake(place)
  }

  /** What was given and not fetched is free again; whoever did not come back waits no more. */
  #forget(): void {
    const now = this.#options.clock.now()
    for (const [id, until] of this.#given) {
      if (until > now) break
      this.#given.delete(id)
      this.#spare++
    }
    for (const [userId, places] of this.#users) {
      for (const [id, { seenAt }] of places) if (seenAt + forgottenMs < now) places.delete(id)
      if (places.size === 0) this.#users.delete(userId)
    }
  }

  #takeAgain(): void {
    const { clock, log } = this.#options
    if (this.#cancelTimer || this.#users.size === 0) return
    const ms = Math.max(leastWaitMs, this.#nextAt - clock.now())
    this.#cancelTimer = clock.after(ms, () => {
      this.#cancelTimer = undefined
      this.#take().catch((err: unknown) => {
        log.warn({ err }, 'creates of an account not shared out, tried again soon')
        this.#nextAt = clock.now() + lookForPlaceMs
        this.#takeAgain()
      })
    })
  }
}
