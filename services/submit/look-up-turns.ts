/**
 * Look-ups ask by an account's query budget, as polls do: where its limit is set or declared, each
 * submit makes a quarter of it at most; and the pollers are told what was asked, and ask that much
 * less. So a thousand lost creates of an account make no query too many. Its users take turns:
 * those of one user delay another one's by a turn each.
 */
import type { Bus } from '#libs/bus/bus.ts'
import type { OpenedAccount } from '#libs/provider/accounts.ts'
import type { Control, Declared } from '#libs/provider/provider.ts'
import { Budget, countingFurther, type BudgetAccount } from '#libs/provider/query-budget.ts'
import { Batcher } from '#libs/runtime/batcher.ts'
import { sleep, type Clock } from '#libs/runtime/clock.ts'
import { UserTurns } from '#libs/runtime/user-turns.ts'
import { queriesSubject, type Queries } from '#libs/scene-video/queries.ts'

/** Submits are two or so: pollers have half of a limit at least. */
const shares = 4
const tellMs = 250
const mostLines = 1_000
/** Beyond it, whoever waits comes back. */
const longestMomentMs = 1_000
/** A look-up that waits comes back within a minute or so; one that does not is gone. */
const forgottenMs = 90_000
/** A call that nobody came for in that time is not made later, so none come together. */
const callKeptMs = 2_000

/** One look-up, and whose turn it takes. */
export interface LookUp {
  name: string
  userId: string
}

interface Place extends LookUp {
  seenAt: number
}

/** The look-ups of an account that wait. */
interface Line {
  /** By name; who came last is the last. */
  readonly places: Map<string, Place>
  readonly turns: UserTurns<Place>
  /** When calls may be made, one for each that waits: the first in turn makes the first. */
  calls: number[]
}

export class LookUpTurns {
  readonly #clock: Clock
  readonly #budget: Budget
  readonly #lines = new Map<string, Line>()
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
   * 0 at this look-up's turn, for which a moment is waited; else milliseconds until then, as it
   * looks now: whoever comes back by then keeps the turn, but others' may have come before it.
   */
  async until(
    account: OpenedAccount,
    provider: Pick<Declared, 'budgets'>,
    lookUp: LookUp,
  ): Promise<number> {
    const waitMs = this.#waitMs(account, provider, lookUp)
    if (waitMs === 0 || waitMs > longestMomentMs) return waitMs
    await sleep(waitMs, undefined, this.#clock)
    return this.#waitMs(account, provider, lookUp)
  }

  #waitMs(account: OpenedAccount, provider: Pick<Declared, 'budgets'>, lookUp: LookUp): number {
    // rule: look-ups keep to the account’s limit of queries
    if (!isLimited(provider)) return 0
    const now = this.#clock.now()
    const line = this.#lineOf(account.id, now)
    const place = enter(line, lookUp, now)
    line.calls = line.calls.filter((at) => at > now - callKeptMs)
    while (line.calls.length < line.places.size)
      line.calls.push(now + this.#budget.take({ id: account.id, provider }))
    const ahead = line.turns.ahead(place)
    const waitMs = line.calls[ahead]! - now
    if (waitMs > 0) return waitMs
    line.calls.splice(ahead, 1)
    line.places.delete(place.name)
    line.turns.take(place)
    if (line.places.size === 0) this.#lines.delete(account.id)
    return 0
  }

  /** Without those that did not come back. */
  #lineOf(accountId: string, now: number): Line {
    const known = this.#lines.get(accountId)
    const line = known ?? { places: new Map(), turns: new UserTurns<Place>(), calls: [] }
    for (const place of line.places.values()) {
      if (place.seenAt + forgottenMs > now) break
      line.places.delete(place.name)
      line.turns.drop(place)
    }
    if (!known) this.#lines.set(accountId, line)
    if (this.#lines.size > mostLines) this.#lines.delete(this.#lines.keys().next().value!)
    return line
  }

  /** The next call there is, of whichever look-up waits for it: that gets a later one. */
  #takeNext(account: BudgetAccount): void {
    if (this.#lines.get(account.id)?.calls.shift() === undefined) this.#budget.take(account)
  }

  /**
   * For the requests of a look-up, of which the first is its turn's: each is told to the pollers,
   * and a list of many pages has later look-ups wait for longer.
   */
  control({ id }: OpenedAccount, provider: Pick<Declared, 'budgets'>): Control {
    const tell = () => {
      this.#told.add(id)
      return true
    }
    const takeFurther = () => {
      // rule: every page of a list is a query
      if (isLimited(provider)) this.#takeNext({ id, provider })
    }
    return { mayWrite: countingFurther(tell, takeFurther) }
  }
}

const isLimited = ({ budgets }: Pick<Declared, 'budgets'>): boolean =>
  (budgets?.set.queryPerSecond ?? budgets?.usual.queryPerSecond) !== undefined

/** Its place, where it has one, else the last of its user's. */
function enter({ places, turns }: Line, { name, userId }: LookUp, seenAt: number): Place {
  const known = places.get(name)
  // rule: a look-up takes its user’s turn
  const place = known ?? { name, userId, seenAt }
  place.seenAt = seenAt
  if (!known) turns.add(place)
  places.delete(name)
  places.set(name, place)
  return place
}
