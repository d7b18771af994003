/**
 * A budget of money per user, a day and a month, for creates whose price is known. Submit charges
 * each where it makes it; here it is told what, looked up before, and said why it was refused.
 */
import type { Charge } from '#libs/scene-video/charge.ts'
import type { Budgets, SpendStore, Spent } from '#libs/store/spend.ts'
import { Problem } from './problem.ts'
import type { Prices } from './prices.ts'

export class Budget {
  readonly #store: SpendStore
  readonly #prices: Prices
  readonly #usual: Budgets

  constructor(store: SpendStore, prices: Prices, usual: Budgets) {
    this.#store = store
    this.#prices = prices
    this.#usual = usual
  }

  /** Null where nothing is to be paid, or no price is known. */
  chargeOf(micros: number | null | undefined): Charge | null {
    return micros ? { micros, ...this.#usual } : null
  }

  /**
   * What is spent now, for `require`. Read before what a request under the same key has made: what
   * that makes in between counts once then, as still to be made. Null where no price is known.
   */
  async spentBy(userId: string): Promise<Spent | null> {
    return this.#prices.areKnown ? this.#store.spentBy(userId, this.#usual) : null
  }

  /**
   * Of what is spent now, unless `spent` was read before. Charges nothing, and so promises nothing.
   * @throws Problem 402 as `exceeded`
   */
  async require(userId: string, micros: number, spent: Spent | null = null): Promise<void> {
    if (micros === 0) return
    const { dayMicros, monthMicros, budgets } =
      spent ?? (await this.#store.spentBy(userId, this.#usual))
    const fits = (used: number, most: number | null) => most === null || used + micros <= most
    if (fits(dayMicros, budgets.dayMicros) && fits(monthMicros, budgets.monthMicros)) return
    throw await this.exceeded(userId, micros)
  }

  /** Problem 402 that names what would be exceeded. */
  async exceeded(userId: string, micros: number): Promise<Problem> {
    const { dayMicros, monthMicros, budgets } = await this.#store.spentBy(userId, this.#usual)
    const isMonth = budgets.monthMicros !== null && monthMicros + micros > budgets.monthMicros
    const [name, most, used, words] = isMonth
      ? (['spendPerMonth', budgets.monthMicros, monthMicros, 'this month'] as const)
      : (['spendPerDay', budgets.dayMicros, dayMicros, 'today'] as const)
    const [limit, spent, more] = [most ?? 0, used, micros].map((one) => this.#prices.money(one))
    return new Problem(
      402,
      'budget_exceeded',
      `This would cost ${more!.amount} ${more!.currency}; ${words} (UTC) this user has spent ${spent!.amount} of ${limit!.amount}.`,
      { limit: { name, limit: limit!.amount, used: spent!.amount } },
    )
  }

  /** Amounts; a limit of null is none. */
  async usedBy(userId: string) {
    const { dayMicros, monthMicros, budgets } = await this.#store.spentBy(userId, this.#usual)
    const amount = (micros: number) => this.#prices.money(micros).amount
    const pair = (used: number, most: number | null) => ({
      limit: most === null ? null : amount(most),
      used: amount(used),
      currency: this.#prices.currency,
    })
    return {
      spendPerDay: pair(dayMicros, budgets.dayMicros),
      spendPerMonth: pair(monthMicros, budgets.monthMicros),
    }
  }
}
