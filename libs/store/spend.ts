/**
 * What each user has spent in this month and on this day (UTC), in millionths of the currency. It
 * is one row a user and month, so a budget holds exactly, over all processes: whoever would exceed
 * it changes nothing.
 */
import type { Charge } from '#libs/scene-video/charge.ts'
import { notAwaited, Refused } from '#libs/scene-video/refusals.ts'
import type { Database } from './connect.ts'
import { isLockFault } from './errors.ts'
import type { Tx } from './video-row.ts'

/** Null: without bound. An operator's exception for the user goes before what is given here. */
export type Budgets = Omit<Charge, 'micros'>
export interface Spent {
  dayMicros: number
  monthMicros: number
  /** As they apply to this user. */
  budgets: Budgets
}

/** Somebody holds the row of this user's: it may be asked again. */
const inTheWay = (err: unknown): never => {
  throw isLockFault(err) ? notAwaited() : err
}

/**
 * In the transaction that makes what is charged, as its last statement: until that ends, whatever
 * else is charged to this user waits. @throws Refused
 */
export async function chargeUser(tx: Tx, userId: string, charge: Charge): Promise<void> {
  const { micros, dayMicros, monthMicros } = charge
  const charged = await tx.$executeRaw`
      WITH today AS (
        SELECT (now() AT TIME ZONE 'UTC')::date AS day, date_trunc('month', now() AT TIME ZONE 'UTC')::date AS month,
          coalesce((u.limits->>'spendPerDay')::numeric * 1000000, ${dayMicros}::numeric, 'Infinity') AS "mostDay",
          coalesce((u.limits->>'spendPerMonth')::numeric * 1000000, ${monthMicros}::numeric, 'Infinity') AS "mostMonth"
        FROM "User" u WHERE u.id = ${userId}::uuid
      )
      INSERT INTO "UserSpend" AS s ("userId", month, "monthMicros", day, "dayMicros")
      SELECT ${userId}::uuid, month, ${micros}::bigint, day, ${micros}::bigint FROM today WHERE ${micros}::bigint <= "mostDay" AND ${micros}::bigint <= "mostMonth"
      ON CONFLICT ("userId", month) DO UPDATE SET "monthMicros" = s."monthMicros" + excluded."monthMicros",
        "dayMicros" = excluded."dayMicros" + CASE WHEN s.day >= excluded.day THEN s."dayMicros" ELSE 0 END, day = greatest(s.day, excluded.day)
      WHERE s."monthMicros" + excluded."monthMicros" <= (SELECT "mostMonth" FROM today)
        AND excluded."dayMicros" + CASE WHEN s.day >= excluded.day THEN s."dayMicros" ELSE 0 END <= (SELECT "mostDay" FROM today)`.catch(
    inTheWay,
  )
  // rule: what would exceed a budget is not made
  if (charged === 0) throw new Refused('budget_exceeded', 'A budget of the user is used up.')
}

const numberOrNull = (value: unknown) => (value === null ? null : Number(value))

export class SpendStore {
  readonly #db: Database
  constructor(db: Database) {
    this.#db = db
  }

  async spentBy(userId: string, budgets: Budgets): Promise<Spent> {
    const [row] = await this.#db.$queryRaw<Record<string, unknown>[]>`
      SELECT CASE WHEN s.day = (now() AT TIME ZONE 'UTC')::date THEN s."dayMicros" ELSE 0 END AS day, s."monthMicros" AS month,
        (u.limits->>'spendPerDay')::numeric * 1000000 AS "mostDay", (u.limits->>'spendPerMonth')::numeric * 1000000 AS "mostMonth"
      FROM "User" u LEFT JOIN "UserSpend" s ON s."userId" = u.id AND s.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
      WHERE u.id = ${userId}::uuid`
    return {
      dayMicros: Number(row?.['day'] ?? 0),
      monthMicros: Number(row?.['month'] ?? 0),
      budgets: {
        dayMicros: numberOrNull(row?.['mostDay'] ?? budgets.dayMicros),
        monthMicros: numberOrNull(row?.['mostMonth'] ?? budgets.monthMicros),
      },
    }
  }
}
