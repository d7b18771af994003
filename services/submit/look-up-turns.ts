/**
 * Look-ups ask by an account's query budget, as polls do: where its limit is set or declared, each
 * submit makes a quarter of it at most; and the pollers are told what was asked, and ask that much
 * less. So a thousand lost creates of an account make no query too many.
 */
import type { Bus } from '#libs/bus/bus.ts'
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import type { Control, Declared } from '#libs/provider/provider.ts'
import { Budget, type Slot } from '#libs/provider/query-budget.ts'
import { Batcher } from '#libs/runtime/batcher.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { queriesSubject, type Queries } from '#libs/scene-video/queries.ts'

/** Submits are two or so: pollers have half of a limit at least. */
const shares = 4
const tellMs = 250
const mostHeld = 10_000
/** Beyond it, whoever waits comes back. */
const longestMomentMs = 1_000

export class LookUpTurns {
  readonly #clock: Clock
  readonly #budget: Budget
  /** By look-up, the call that is reserved for it. */
  readonly #held = new Map<string, Slot>()
  readonly #told: Batcher<string>

  constructor(bus: Pick<Bus, 'publishCore'>, clock: Clock) {
    this.#clock = clock
    this.#budget = new Budget(clock, {}, () => shares)
    this.#told = new Batcher<string>({
      clock,
      waitMs: tellMs,
      maxSize: 1_000,
      handle: (ids) => {
        for (const [accountId, all] of Map.groupBy(ids, (id) => id))
          bus.publishCore(queriesSubject, { accountId, count: all.length } satisfies Queries)
      },
    })
  }

  /**
   * 0 at this look-up's turn, for which a moment is waited; else milliseconds until then, for which
   * the turn is kept.
   */
  async until(
    account: OpenedAccount,
    provider: Pick<Declared, 'budgets'>,
    lookUp: string,
  ): Promise<number> {
    const waitMs = this.#waitMs(account, provider, lookUp)
    if (waitMs === 0 || waitMs > longestMomentMs) return waitMs
    await sleep(waitMs, undefined, this.#clock)
    return this.#waitMs(account, provider, lookUp)
  }

  #waitMs(account: OpenedAccount, provider: Pick<Declared, 'budgets'>, lookUp: string): number {
    const { usual, set } = provider.budgets ?? {}
    // rule: look-ups keep to the account’s limit of queries
    if ((set?.queryPerSecond ?? usual?.queryPerSecond) === undefined) return 0
    const slot = this.#budget.reserve({ id: account.id, provider }, [
      this.#held.get(lookUp) ?? null,
    ])
    this.#held.delete(lookUp)
    if (slot.used) return 0
    this.#held.set(lookUp, slot)
    if (this.#held.size > mostHeld) this.#held.delete(this.#held.keys().next().value!)
    return Math.max(1, slot.at - this.#clock.now())
  }

  /** For the requests of a look-up: each is told to the pollers. */
  control({ id }: OpenedAccount): Control {
    return {
      mayWrite: () => {
        this.#told.add(id)
        return true
      },
    }
  }
}
