/**
 * A budget of money per user, a day and a month, for creates whose price is known. What is asked
 * for counts, retries among them; what is refused before anything was sent is taken back.
 */
import type { Budgets, SpendStore } from '#libs/store/spend.ts'
import { Problem } from './problem.ts'
import type { Prices } from './prices.ts'

const nothing = async (): Promise<void> => {}
/** Takes so many micros back. */
export type Refund = (micros: number) => Promise<void>

export class Budget {
  readonly #store: SpendStore
  readonly #prices: Prices
  readonly #usual: Budgets

  constructor(store: SpendStore, prices: Prices, usual: Budgets) {
    this.#store = store
    this.#prices = prices
    this.#usual = usual
  }

  /** @throws Problem 402 that names what would be exceeded */
  async charge(userId: string, micros: number): Promise<Refund> {
    if (micros === 0) return nothing
    const booking = await this.#store.charge(userId, micros, this.#usual)
    if (booking) return (back) => this.#store.takeBack(userId, back, booking)
    throw await this.#exceeded(userId, micros)
  }

  /** Charges nothing: what is asked for is charged one by one. @throws Problem 402 as `charge` */
  async require(userId: string, micros: number): Promise<void> {
    if (micros === 0) return
    const { dayMicros, monthMicros, budgets } = await this.#store.spentBy(userId, this.#usual)
    const fits = (used: number, most: number | null) => most === null || used + micros <= most
    if (fits(dayMicros, budgets.dayMicros) && fits(monthMicros, budgets.monthMicros)) return
    throw await this.#exceeded(userId, micros)
  }

  async #exceeded(userId: string, micros: number): Promise<Problem> {
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
